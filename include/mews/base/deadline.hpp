// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>

namespace mews {

/// Written out where a call shall wait without end: `channel.receive(mews::forever)`.
struct Forever {};
inline constexpr Forever forever{};

/// The moment at which a blocking call gives up. Made from a duration (from now), a steady time
/// point, or `forever`. A duration of zero or less has passed already: the call looks once.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  template <class Rep, class Period>
  Deadline(std::chrono::duration<Rep, Period> wait) noexcept  // NOLINT: reads as an argument
      : at_(after(std::chrono::duration_cast<Clock::duration>(wait))) {}
  Deadline(Clock::time_point at) noexcept : at_(at) {}           // NOLINT
  Deadline(Forever) noexcept : at_(Clock::time_point::max()) {}  // NOLINT

  [[nodiscard]] bool is_forever() const noexcept { return at_ == Clock::time_point::max(); }
  [[nodiscard]] bool has_passed() const noexcept { return !is_forever() && Clock::now() >= at_; }
  [[nodiscard]] Clock::time_point at() const noexcept { return at_; }
  /// The same, but `wait` from now at the latest.
  [[nodiscard]] Deadline within(Clock::duration wait) const noexcept {
    return std::min(at_, after(wait));
  }
  /// Time left, never negative; `duration::max()` for ever.
  [[nodiscard]] Clock::duration left() const noexcept {
    if (is_forever()) return Clock::duration::max();
    const auto now = Clock::now();
    return now >= at_ ? Clock::duration::zero() : at_ - now;
  }

 private:
  /// A wait so long that it leaves the clock's range is for ever.
  static Clock::time_point after(Clock::duration wait) noexcept {
    const auto now = Clock::now();
    return wait > Clock::time_point::max() - now ? Clock::time_point::max() : now + wait;
  }
  Clock::time_point at_;
};

}  // namespace mews
