// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT {

/// Written out where a call shall wait without end: `channel.receive(mews::forever)`.
struct Forever {};
inline constexpr Forever forever{};

#if defined(MEWS_STEPPED)
/// Whether all deadlines have passed, as the model checker has it; null means: by the clock.
inline bool (*time_model)() = nullptr;
#endif

/// The moment at which a blocking call gives up. Made from a duration (from now), a steady time
/// point, or `forever`. A duration of zero or less has passed already: the call looks once. One
/// that leaves the clock's range is for ever, in whatever unit it is given.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  template <class Rep, class Period>
  Deadline(std::chrono::duration<Rep, Period> wait) noexcept  // NOLINT: reads as an argument
      : at_(after(wait)) {}
  Deadline(Clock::time_point at) noexcept : at_(at) {}           // NOLINT
  Deadline(Forever) noexcept : at_(Clock::time_point::max()) {}  // NOLINT

  [[nodiscard]] bool is_forever() const noexcept { return at_ == Clock::time_point::max(); }
  [[nodiscard]] bool has_passed() const noexcept {
#if defined(MEWS_STEPPED)
    if (time_model != nullptr) return !is_forever() && time_model();
#endif
    return !is_forever() && Clock::now() >= at_;
  }
  [[nodiscard]] Clock::time_point at() const noexcept {
    return at_;
  }
  /// The same, but `wait` from now at the latest.
  [[nodiscard]] Deadline within([[maybe_unused]] Clock::duration wait) const noexcept {
#if defined(MEWS_STEPPED)
    return *this;  // or it would hide what the tests look for: a wake-up that is lost
#else
    return std::min(at_, after(wait));
#endif
  }
  /// Time left, never negative; `duration::max()` for ever.
  [[nodiscard]] Clock::duration left() const noexcept {
    if (is_forever()) return Clock::duration::max();
    const auto now = Clock::now();
    return now >= at_ ? Clock::duration::zero() : at_ - now;
  }

 private:
  /// The clock's own unit, but with room for the longest wait of every other.
  using Roomy = std::chrono::duration<double, Clock::period>;

  static Clock::time_point after(Roomy wait) noexcept {
    const auto now = Clock::now();
    if (!(wait > Roomy::zero())) return now;  // not a number is no wait either
    // What is below the range as a double is so as an integer; to the nanosecond for 100 days.
    if (wait >= Roomy(Clock::time_point::max() - now)) return Clock::time_point::max();
    return now + Clock::duration(static_cast<Clock::rep>(wait.count()));
  }
  Clock::time_point at_;
};

}  // namespace mews::inline MEWS_LAYOUT
