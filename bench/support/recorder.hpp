// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/cpu.hpp"

namespace mews::bench {

/// The value below which `share` (0..1) of them lie; 0 of none. Reorders them.
template <class T>
[[nodiscard]] double percentile(std::vector<T>& values, double share) {
  if (values.empty()) return 0;
  const auto at = std::min(values.size() - 1,
                           static_cast<std::size_t>(share * static_cast<double>(values.size())));
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(at);
  std::nth_element(values.begin(), nth, values.end());
  return static_cast<double>(*nth);
}

/// Durations of single operations, in ticks.
class Recorder {
 public:
  void reserve(std::size_t count) { ticks_.reserve(count); }
  void add(std::uint64_t duration_ticks) { ticks_.push_back(duration_ticks); }
  void append(const Recorder& other) {
    ticks_.insert(ticks_.end(), other.ticks_.begin(), other.ticks_.end());
  }
  void clear() { ticks_.clear(); }
  [[nodiscard]] bool is_empty() const { return ticks_.empty(); }
  [[nodiscard]] double percentile_ns(double share) {
    return percentile(ticks_, share) * ns_per_tick();
  }

 private:
  std::vector<std::uint64_t> ticks_;
};

}  // namespace mews::bench
