// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT {

/// Written out for a call that shall wait without end: `channel.receive(mews::forever)`.
struct Forever {};
inline constexpr Forever forever{};

#if defined(MEWS_STEPPED)
/// Returns whether all deadlines have passed in the model checker; null: by the clock.
inline bool (*time_model)() = nullptr;
#endif

/// The moment at which a blocking call gives up. Made from a duration (from now), a steady time
/// point, or `forever`. A duration of zero or less has passed already: the call looks once. A
/// duration beyond the clock's range is for ever, in any unit.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  template <class Rep, class Period>
  Deadline(std::chrono::duration<Rep, Period> wait) noexcept  // NOLINT: reads as an argument
      : Deadline(wait, Clock::now()) {}
  /// The same for a caller that has read the clock already, as `now`.
  template <class Rep, class Period>
  Deadline(std::chrono::duration<Rep, Period> wait, Clock::time_point now) noexcept
      : at_(sum(wait, now)) {}
  Deadline(Clock::time_point at) noexcept : at_(at) {}           // NOLINT
  Deadline(Forever) noexcept : at_(Clock::time_point::max()) {}  // NOLINT

  [[nodiscard]] bool is_forever() const noexcept { return at_ == Clock::time_point::max(); }
  [[nodiscard]] bool has_passed() const noexcept {
    return !is_forever() && has_passed(Clock::now());
  }
  /// The same for a caller that has read the clock already, as `now`.
  [[nodiscard]] bool has_passed(Clock::time_point now) const noexcept {
#if defined(MEWS_STEPPED)
    if (time_model != nullptr) return !is_forever() && time_model();
#endif
    return !is_forever() && now >= at_;
  }
  [[nodiscard]] Clock::time_point at() const noexcept {
    return at_;
  }
  /// Returns the earlier of this and `wait` from now.
  [[nodiscard]] Deadline within(Clock::duration wait) const noexcept {
    return within(wait, Clock::now());
  }
  [[nodiscard]] Deadline within([[maybe_unused]] Clock::duration wait,
                                [[maybe_unused]] Clock::time_point now) const noexcept {
#if defined(MEWS_STEPPED)
    return *this;  // or it would hide a lost wake-up, which the tests look for
#else
    return std::min(at_, sum(wait, now));
#endif
  }
  /// Returns the time left, never negative; `duration::max()` for ever.
  [[nodiscard]] Clock::duration left() const noexcept {
    if (is_forever()) return Clock::duration::max();
    const auto now = Clock::now();
    return now >= at_ ? Clock::duration::zero() : at_ - now;
  }

 private:
  /// The clock's own unit, but with room for the longest wait of every other.
  using Roomy = std::chrono::duration<double, Clock::period>;

  static Clock::time_point sum(Roomy wait, Clock::time_point now) noexcept {
    if (!(wait > Roomy::zero())) return now;  // not a number is no wait either
    // A value below the range as a double is below it as an integer; to the nanosecond for 100
    // days.
    if (wait >= Roomy(Clock::time_point::max() - now)) return Clock::time_point::max();
    return now + Clock::duration(static_cast<Clock::rep>(wait.count()));
  }
  Clock::time_point at_;
};

}  // namespace mews::inline MEWS_LAYOUT
