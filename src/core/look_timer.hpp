// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "mews/base/atomic.hpp"
#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// For event loops of the host's: `fd` becomes readable once a second, while a loop is armed. A
/// thread that sleeps on a doorbell looks again by itself; an event loop sleeps in the program's
/// own poll, so the host's reactor looks for it. See `longest_sleep`.
///
/// word         writer                    readers       publish / observe
/// is_running_  who arms a loop, reactor  who arms one  seq_cst; partner:
/// ChannelCore::loop_position_
///
/// Who arms a loop notes its position first, then asks whether the timer runs [L1]. The reactor
/// says that it does not [L2] and then looks at all positions. One of the two sees the other's
/// write.
class LookTimer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LookTimer>> make();

  [[nodiscard]] int fd() const noexcept { return timer_.get(); }
  /// Runs from now on, if it did not: one load, or a system call. Any thread. In stepped builds it
  /// never runs, as it would hide a wake-up that is lost.
  void start() noexcept;
  /// It has fired, and stands still until `start`.
  void rest() noexcept;

 private:
  explicit LookTimer(os::UniqueFd timer) noexcept : timer_(std::move(timer)) {}

  os::UniqueFd timer_;
  base::LocalAtomic<bool> is_running_{false};
};

}  // namespace mews::inline MEWS_LAYOUT::detail
