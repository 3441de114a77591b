// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "compare/series.hpp"

namespace mews::bench::compare {

/// The processor's name, as the system has it.
[[nodiscard]] std::string processor_name();

/// A table of the most frequent placement, the best first, and a line on where mews is.
void print_table(std::FILE* out, const Series& series);

/// All placements of all cases. Returns false when the file cannot be written.
[[nodiscard]] bool write_json(const std::string& path, const std::string& command,
                              const std::vector<Series>& all);

}  // namespace mews::bench::compare
