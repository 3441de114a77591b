// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <optional>
#include <stop_token>
#include <utility>

#include "mews/base/deadline.hpp"
#include "owner.hpp"

namespace mews::detail {

/// What ends a wait, besides what is waited for.
struct Until {
  Deadline deadline;
  const std::stop_token* stop = nullptr;  ///< null: none
  [[nodiscard]] bool is_cancelled() const noexcept {
    return stop != nullptr && stop->stop_requested();
  }
};

/// How long a call may block. The usual deadline counts from the moment that it begins to wait: a
/// call that need not wait looks neither at the clock nor at the stop token. Two words, so that it
/// travels in registers.
class Patience {
 public:
  Patience(Deadline deadline) noexcept  // NOLINT: reads as an argument
      : Patience(deadline, nullptr) {}
  /// `stop` is the caller's, and outlives the call.
  Patience(Deadline deadline, const std::stop_token& stop) noexcept : Patience(deadline, &stop) {}
  [[nodiscard]] static Patience none() noexcept { return Patience(kNone); }
  /// Until the session's default timeout has passed.
  [[nodiscard]] static Patience usual() noexcept { return Patience(kUsual); }

  [[nodiscard]] bool may_wait() const noexcept { return until_ != kNone; }
  [[nodiscard]] Until until(Deadline::Clock::duration usual) const noexcept {
    return {until_ == kUsual ? Deadline(usual) : Deadline(until_), stop_};
  }
  /// The same, from now on: for a call that waits more than once.
  [[nodiscard]] static Patience of(const Until& until) noexcept {
    return Patience(until.deadline, until.stop);
  }

 private:
  using TimePoint = Deadline::Clock::time_point;
  // No deadline is so far back.
  static constexpr TimePoint kNone = TimePoint::min();
  static constexpr TimePoint kUsual = TimePoint::min() + TimePoint::duration(1);

  Patience(Deadline deadline, const std::stop_token* stop) noexcept
      : until_(std::max(deadline.at(), kUsual + TimePoint::duration(1))), stop_(stop) {}
  explicit Patience(TimePoint until) noexcept : until_(until) {}

  TimePoint until_;
  const std::stop_token* stop_ = nullptr;
};

/// Wakes a waiter when its stop token is asked to stop.
///
/// `wake` runs in the thread that asks, at any moment between the constructor and the end of the
/// destructor, which waits for one that is running: what `wake` uses must outlive this object, and
/// the destructor's thread must not have a lock that `wake` takes. The token says "stop" before
/// `wake` runs; so a waiter that arms, looks at the token, and sleeps on what `wake` changes either
/// sees the stop or is woken. In a forked child, where the waiter does not exist, `wake` never
/// runs.
template <class Wake>
class WakeOnStop {
 public:
  WakeOnStop(const Until& until, Wake wake) {
    if (until.stop != nullptr && until.stop->stop_possible()) {
      callback_.emplace(*until.stop, Call{std::move(wake), Owner()});
    }
  }
  WakeOnStop(const WakeOnStop&) = delete;
  WakeOnStop& operator=(const WakeOnStop&) = delete;

 private:
  struct Call {
    Wake wake;
    Owner owner;
    void operator()() noexcept {
      if (owner.is_this_process()) wake();
    }
  };
  std::optional<std::stop_callback<Call>> callback_;
};

}  // namespace mews::detail
