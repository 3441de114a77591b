// SPDX-License-Identifier: MIT
#include "compare/cases.hpp"

#include <algorithm>
#include <utility>

#include "compare/columns.hpp"
#include "support/cpu.hpp"

namespace mews::bench::compare {

std::string size_text(std::size_t bytes) {
  if (bytes >= (1u << 20)) return std::to_string(bytes >> 20) + "MiB";
  if (bytes >= (1u << 10)) return std::to_string(bytes >> 10) + "KiB";
  return std::to_string(bytes) + "B";
}

Column latency(std::string title, std::string key, double share, double unit_ns) {
  return {std::move(title), std::move(key), [=](const Outcome& outcome) {
            return outcome.durations.percentile(share) * ns_per_tick() / unit_ns;
          }};
}

Column rate_column() {
  return {"thousand/s", "thousand_per_second",
          [](const Outcome& outcome) { return outcome.rate / 1e3; }, true};
}

Column each_column() {
  return {"ns each", "ns_each", [](const Outcome& outcome) { return 1e9 / outcome.rate; }};
}

Column cpu_column() {
  return {"CPU us each", "cpu_us_each", [](const Outcome& outcome) {
            const auto messages = std::max<std::uint64_t>(1, outcome.messages);
            return outcome.cpu_seconds * 1e6 / static_cast<double>(messages);
          }};
}

Column resident_column() {
  return {"added MiB", "added_mib",
          [](const Outcome& outcome) { return outcome.added_bytes / (1 << 20); }};
}

std::vector<CaseSpec> all_cases(const CaseOptions& options) {
  std::vector<CaseSpec> cases;
  add_message_cases(cases, options);
  add_allocator_cases(cases);
  add_limit_cases(cases);
  if (options.is_smoke) {
    for (auto& spec : cases) {
      spec.job.most_messages = spec.job.setup.largest() < (1u << 20) ? 20 : 3;
      spec.job.least_seconds = 0;
    }
  }
  return cases;
}

}  // namespace mews::bench::compare
