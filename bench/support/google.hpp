// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/case.hpp"

namespace mews::bench {

using MakeCase = std::function<CasePtr()>;

struct Registration {
  std::string name;
  MakeCase make;
  /// Run in turn with it; the counter `x <name>` is the case's time over this one's.
  std::vector<std::pair<std::string, MakeCase>> yardsticks = {};
  std::uint64_t bytes = 0;       ///< payload per operation, for GB/s
  std::uint64_t messages = 1;    ///< per operation: all times are then per message
  bool has_percentiles = false;  ///< of single operations: a round trip
};

/// "name/number".
[[nodiscard]] std::string path(std::string_view name, std::uint64_t number);

/// Registers a Google Benchmark of that name. Its time is the mean over all turns; the counters
/// (`ns`, `P`: the bare ping-pong around it, ratios, percentiles) are medians over the turns of the
/// placement that was most frequent, which is its label.
void add(Registration registration);

/// The main function of a benchmark program.
int run_all(int argc, char** argv);

}  // namespace mews::bench
