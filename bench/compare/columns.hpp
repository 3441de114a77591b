// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include "compare/cases.hpp"

/// What the files of cases share.
namespace mews::bench::compare {

[[nodiscard]] std::string size_text(std::size_t bytes);

/// A percentile of the durations, 1 for the longest; in units of so many nanoseconds.
[[nodiscard]] Column latency(std::string title, std::string key, double share, double unit_ns);
[[nodiscard]] Column rate_column();      ///< thousand messages a second
[[nodiscard]] Column each_column();      ///< ns for each message, by the rate
[[nodiscard]] Column cpu_column();       ///< us of all processes for each message
[[nodiscard]] Column resident_column();  ///< MiB of all processes, over the same without a peer

void add_message_cases(std::vector<CaseSpec>& cases, const CaseOptions& options);
void add_allocator_cases(std::vector<CaseSpec>& cases);
void add_limit_cases(std::vector<CaseSpec>& cases);

}  // namespace mews::bench::compare
