// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>

#include "crash/kill_series.hpp"
#include "mews/base/atomic.hpp"
#include "mews/os/process.hpp"

namespace mews_test {

/// Kills another process when this thread is about to take its `at`-th step, 0: never; and goes on
/// after `then`, whose own steps do not count.
class KillAtStep {
 public:
  KillAtStep(int victim_pidfd, std::uint64_t at, std::function<void()> then = {}) {
    state = {victim_pidfd, at, 0, std::move(then), false};
    mews::base::step_hook = [](mews::base::Step, auto...) { on_step(); };
  }
  KillAtStep(const KillAtStep&) = delete;
  KillAtStep& operator=(const KillAtStep&) = delete;
  ~KillAtStep() { stop(); }

  /// Counts no longer; whether the step was reached, and the steps that this thread took.
  Ending stop() {
    // The hook stays: another thread may be about to call it.
    state.is_paused = true;
    return {.was_killed = state.at != 0 && state.count >= state.at, .steps = state.count};
  }

 private:
  static void on_step() {
    if (state.is_paused || ++state.count != state.at) return;
    (void)mews::os::send_signal(state.victim, SIGKILL);
    if (!state.then) return;
    state.is_paused = true;
    state.then();
    state.is_paused = false;
  }

  struct State {
    int victim;  // a descriptor: a number may be another process's by then
    std::uint64_t at;
    std::uint64_t count;
    std::function<void()> then;
    bool is_paused;
  };
  static inline thread_local State state{};
};

}  // namespace mews_test
