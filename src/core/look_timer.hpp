// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "mews/base/atomic.hpp"
#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Timer for the event loops of a host: `fd` becomes readable once a second while a loop is armed.
/// A thread that sleeps on a doorbell checks again by itself. An event loop sleeps in the program's
/// own poll, so the host's reactor checks for it. See `longest_sleep`.
///
/// word         writer             readers   publish / observe    protects
/// is_running_  receiver, reactor  receiver  [L2] / [L1] seq_cst  nothing: says "is set"
///
/// The receiver that arms a loop stores the loop's position (`ChannelCore::loop_position_` [P1]),
/// then asks whether the timer runs [L1]. The reactor stores that it does not run [L2], then looks
/// at all positions [P2]. At least one of the two sees the other's write.
class LookTimer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LookTimer>> make();

  [[nodiscard]] int fd() const noexcept { return timer_.get(); }
  /// Starts the timer unless it runs: one load, or a system call. Any thread. Does nothing in
  /// stepped builds, where the timer would hide a lost wake-up.
  void start() noexcept;
  /// Stops the timer, after it has fired, until the next `start`. By the reactor.
  void rest() noexcept;

 private:
  explicit LookTimer(os::UniqueFd timer) noexcept : timer_(std::move(timer)) {}

  os::UniqueFd timer_;
  base::LocalAtomic<bool> is_running_{false};
};

}  // namespace mews::inline MEWS_LAYOUT::detail
