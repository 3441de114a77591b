// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "mews/base/deadline.hpp"

namespace mews::detail {

/// How long a call may block. The usual deadline counts from the moment that it begins to wait: a
/// call that need not wait does not look at the clock. One word, so that it travels in a register.
class Patience {
 public:
  Patience(Deadline deadline) noexcept  // NOLINT: reads as an argument
      : until_(std::max(deadline.at(), kUsual + TimePoint::duration(1))) {}
  [[nodiscard]] static Patience none() noexcept { return Patience(kNone); }
  /// Until the session's default timeout has passed.
  [[nodiscard]] static Patience usual() noexcept { return Patience(kUsual); }

  [[nodiscard]] bool may_wait() const noexcept { return until_ != kNone; }
  [[nodiscard]] Deadline until(Deadline::Clock::duration usual) const noexcept {
    return until_ == kUsual ? Deadline(usual) : Deadline(until_);
  }

 private:
  using TimePoint = Deadline::Clock::time_point;
  // No deadline is so far back.
  static constexpr TimePoint kNone = TimePoint::min();
  static constexpr TimePoint kUsual = TimePoint::min() + TimePoint::duration(1);

  explicit Patience(TimePoint until) noexcept : until_(until) {}

  TimePoint until_;
};

}  // namespace mews::detail
