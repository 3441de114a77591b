// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/os/process.hpp"

namespace mews_test {

/// Kills another process when this thread is about to take its `at`-th step; 0: never.
class KillAtStep {
 public:
  KillAtStep(int victim_pidfd, std::uint64_t at) {
    state = {victim_pidfd, at, 0};
    mews::base::step_hook = [](mews::base::Step, auto...) {
      if (++state.count == state.at) (void)mews::os::send_signal(state.victim, SIGKILL);
    };
  }
  KillAtStep(const KillAtStep&) = delete;
  KillAtStep& operator=(const KillAtStep&) = delete;
  ~KillAtStep() { stop(); }

  // The hook stays: another thread may be about to call it.
  void stop() { state.at = 0; }
  /// That this thread has taken since.
  [[nodiscard]] static std::uint64_t steps() { return state.count; }

 private:
  struct State {
    int victim;  // a descriptor: a number may be another process's by then
    std::uint64_t at;
    std::uint64_t count;
  };
  static inline thread_local State state{};
};

}  // namespace mews_test
