// SPDX-License-Identifier: MIT
#include "look_timer.hpp"

#include <sys/timerfd.h>

#include <cerrno>

#include "longest_sleep.hpp"
#include "mews/os/unique_fd.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

Result<std::unique_ptr<LookTimer>> LookTimer::make() {
  auto timer = os::own_fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return tl::unexpected(Error::os(errno, "timerfd_create"));
  return std::unique_ptr<LookTimer>(new LookTimer(std::move(timer)));
}

void LookTimer::start() noexcept {
#if !defined(MEWS_STEPPED)
  // [L1] seq_cst: after the loop's position [P1]; partner [L2].
  if (is_running_.load(std::memory_order_seq_cst)) return;
  // Relaxed: two threads may both set the timer, for about the same moment.
  is_running_.store(true, std::memory_order_relaxed);
  itimerspec when{};
  when.it_value.tv_sec = longest_sleep / std::chrono::seconds(1);
  when.it_value.tv_nsec = (longest_sleep % std::chrono::seconds(1)).count();
  // Cannot fail: the descriptor is a timer's and the time is valid.
  (void)::timerfd_settime(timer_.get(), 0, &when, nullptr);
#endif
}

void LookTimer::rest() noexcept {
  // Setting the timer makes `fd` unreadable; zero stops the timer.
  const itimerspec never{};
  (void)::timerfd_settime(timer_.get(), 0, &never, nullptr);
  // [L2] seq_cst: before the look at the positions [P2]; partner [L1].
  is_running_.store(false, std::memory_order_seq_cst);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
