// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <stop_token>

#include "mews/base/atomic.hpp"
#include "mews/deadline.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// The reasons to end a wait without success.
struct Until {
  Deadline deadline;
  const std::stop_token* stop = nullptr;  ///< null: none
  Deadline::Clock::time_point began{};    ///< when the call began to wait
  /// Another reason to end the wait; null: none. Who sets it wakes the waiter afterwards.
  const base::LocalAtomic<bool>* is_interrupted = nullptr;

  [[nodiscard]] bool is_cancelled() const noexcept {
    // Relaxed: as the stop token is; the wake-up orders it.
    return (stop != nullptr && stop->stop_requested()) ||
           (is_interrupted != nullptr && is_interrupted->load(std::memory_order_relaxed));
  }
};

/// How long a call may block. The usual timeout counts from the moment the call begins to wait: a
/// call that need not wait reads neither the clock nor the stop token. Two words, so that it is
/// passed in registers.
class Timeout {
 public:
  Timeout(Deadline deadline) noexcept  // NOLINT: reads as an argument
      : Timeout(deadline, nullptr) {}
  /// `stop` must outlive the call.
  Timeout(Deadline deadline, const std::stop_token& stop) noexcept : Timeout(deadline, &stop) {}
  [[nodiscard]] static Timeout none() noexcept { return Timeout(none_mark()); }
  /// Blocks for the session's default timeout at most.
  [[nodiscard]] static Timeout usual() noexcept { return Timeout(usual_mark()); }

  [[nodiscard]] bool may_wait() const noexcept { return until_ != none_mark(); }
  [[nodiscard]] Until until(Deadline::Clock::duration usual) const noexcept {
    return until(usual, Deadline::Clock::now());
  }
  /// The same for a caller that has read the clock already, as `now`.
  [[nodiscard]] Until until(Deadline::Clock::duration usual,
                            Deadline::Clock::time_point now) const noexcept {
    return {until_ == usual_mark() ? Deadline(usual, now) : Deadline(until_), stop_, now};
  }
  /// Fixes the deadline, for a call that waits more than once.
  [[nodiscard]] static Timeout of(const Until& until) noexcept {
    return Timeout(until.deadline, until.stop);
  }

 private:
  using TimePoint = Deadline::Clock::time_point;
  // Markers: no deadline is that early, see the constructor. Functions, as a program would have a
  // variable of its own.
  static constexpr TimePoint none_mark() noexcept { return TimePoint::min(); }
  static constexpr TimePoint usual_mark() noexcept { return none_mark() + TimePoint::duration(1); }

  Timeout(Deadline deadline, const std::stop_token* stop) noexcept
      : until_(std::max(deadline.at(), usual_mark() + TimePoint::duration(1))), stop_(stop) {}
  explicit Timeout(TimePoint until) noexcept : until_(until) {}

  TimePoint until_;
  const std::stop_token* stop_ = nullptr;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
