// SPDX-License-Identifier: MIT
#include "reactor_timer.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>

namespace mews::inline MEWS_LAYOUT::detail {

Result<void> ReactorTimer::set(Reactor& reactor, std::chrono::nanoseconds delay,
                               std::function<void()> handler) {
  clear(reactor);
  auto timer = os::own_fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return tl::unexpected(Error::os(errno, "timerfd_create"));
  // Zero would disarm the timer.
  const auto ns = std::max<std::int64_t>(1, delay.count());
  itimerspec when{};
  when.it_value.tv_sec = static_cast<std::time_t>(ns / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  if (::timerfd_settime(timer.get(), 0, &when, nullptr) != 0) {
    return tl::unexpected(Error::os(errno, "timerfd_settime"));
  }
  auto id = reactor.add(timer.get(), std::move(handler));
  if (!id) return tl::unexpected(std::move(id.error()));
  timer_ = std::move(timer);
  id_ = *id;
  return {};
}

void ReactorTimer::clear(Reactor& reactor) noexcept {
  if (!timer_) return;
  reactor.remove(id_);
  timer_.reset();
}

}  // namespace mews::inline MEWS_LAYOUT::detail
