// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "mews/deadline.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

/// Returns the number of processors that this process may run on, at least 1.
[[nodiscard]] unsigned usable_cpus() noexcept;

/// How long to look before sleeping, learnt from the last waits.
///
/// A sleep and its wake-up across processors cost 25 to 60 microseconds (measured), so up to the
/// limit it pays to look; but a wait that is longer anyway had better sleep at once. Each success
/// doubles the budget up to the limit, each failure halves it down to a small probe.
///
/// word        writer      readers     publish / observe  protects
/// limit_ns_   the waiter  the waiter  relaxed            nothing: a hint
/// budget_ns_  the waiter  the waiter  relaxed            nothing: a hint
///
/// One waiter at a time, on any thread. Relaxed throughout: an old value only makes one spin longer
/// or shorter. Tests have another `Clock`.
template <class Clock>
class BasicSpinBudget {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  /// `limit` zero or less: never spin (there is one processor, or the caller would rather sleep).
  explicit BasicSpinBudget(Nanoseconds limit) noexcept
      : limit_ns_(limit.count()), budget_ns_(limit.count()) {}

  /// Changes the limit: less where more threads than processors want to run.
  void set_limit(Nanoseconds limit) noexcept {
    limit_ns_.store(limit.count(), std::memory_order_relaxed);
  }

  /// Looks until `is_ready()` or until the budget or deadline is used up; returns whether it became
  /// ready. The clock is first read after a few dozen looks: a quick answer does not pay for it.
  template <class IsReady>
  bool spin(IsReady&& is_ready, Deadline deadline) {
    const auto limit = limit_ns_.load(std::memory_order_relaxed);
    if (limit <= 0) return is_ready();
    const auto budget = std::min(budget_ns_.load(std::memory_order_relaxed), limit);
    Deadline::Clock::time_point end{};
    for (;;) {
      for (int i = 0; i < kLooksPerClock; ++i) {
        if (is_ready()) {
          if (budget != limit)
            budget_ns_.store(std::min(2 * budget, limit), std::memory_order_relaxed);
          return true;
        }
        cpu_relax();
      }
      const auto now = Clock::now();
      if (end == Deadline::Clock::time_point{}) {
        end = std::min(now + Nanoseconds(budget), deadline.at());
      }
      if (now >= end) break;
    }
    budget_ns_.store(std::max(budget / 2, limit / kSmallestShare), std::memory_order_relaxed);
    return false;
  }

 private:
  static constexpr int kLooksPerClock = 32;
  static constexpr std::int64_t kSmallestShare = 16;

  std::atomic<std::int64_t> limit_ns_;
  std::atomic<std::int64_t> budget_ns_;
};

using SpinBudget = BasicSpinBudget<Deadline::Clock>;

}  // namespace mews::inline MEWS_LAYOUT::sync
