// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <stop_token>
#include <utility>

#include "mews/detail/fork_stamp.hpp"
#include "mews/detail/timeout.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Wakes a waiter when its stop token is asked to stop.
///
/// `wake` runs in the thread that requests the stop, at any moment between the constructor and the
/// end of the destructor. The destructor waits for a `wake` that is running. So the objects that
/// `wake` uses must outlive this object, and the destructor's thread must not hold a lock that
/// `wake` acquires. The token says "stop" before `wake` runs. So a waiter that arms, looks at the
/// token, and sleeps on the word that `wake` changes either sees the stop or is woken. In a forked
/// child, where the waiter does not exist, `wake` never runs.
template <class Wake>
class WakeOnStop {
 public:
  WakeOnStop(const Until& until, Wake wake) {
    if (until.stop != nullptr && until.stop->stop_possible()) {
      callback_.emplace(*until.stop, Call{std::move(wake), ForkStamp()});
    }
  }
  WakeOnStop(const WakeOnStop&) = delete;
  WakeOnStop& operator=(const WakeOnStop&) = delete;

 private:
  struct Call {
    Wake wake;
    ForkStamp origin;
    void operator()() noexcept {
      if (origin.is_this_process()) wake();
    }
  };
  std::optional<std::stop_callback<Call>> callback_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
