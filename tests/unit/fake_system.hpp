// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/deadline.hpp"

namespace mews_test {

/// A processor as a test wants it, in place of `mews::sync::Cpu`. Each look at the clock takes a
/// microsecond. Static, as the code under test calls the type; `reset` before each test.
struct FakeSystem {
  using Clock = mews::Deadline::Clock;
  static void reset() {
    clock = std::chrono::hours(1);
    yield_takes = {};
    yields = 0;
    place = nullptr;
    turns_of_others = 0;
  }

  [[nodiscard]] static Clock::time_point now() {
    clock += std::chrono::microseconds(1);
    return Clock::time_point(clock);
  }
  static void yield() {
    ++yields;
    clock += yield_takes;
    if (place != nullptr) place->fetch_add(turns_of_others, std::memory_order_relaxed);
  }
  [[nodiscard]] static unsigned number() { return kNumber; }

  static constexpr unsigned kNumber = 3;
  static inline Clock::duration clock{};
  static inline Clock::duration yield_takes{};  ///< besides the looks at the clock
  static inline int yields = 0;
  /// What the others count at each yield.
  static inline mews::base::Atomic<std::uint32_t>* place = nullptr;
  static inline std::uint32_t turns_of_others = 0;
};

}  // namespace mews_test
