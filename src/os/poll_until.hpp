// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>

#include <chrono>
#include <ctime>

#include "mews/deadline.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Waits until `fd` has one of `events`, an error or a hang-up, and returns which; 0 when the
/// deadline passes first. With a past deadline it looks once. Signals do not end it.
[[nodiscard]] inline short poll_until(int fd, short events, Deadline deadline) noexcept {
  if (fd < 0) return POLLNVAL;  // poll would ignore it, and wait for nothing
  for (;;) {
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    timespec left{};
    if (!deadline.is_forever()) {
      const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.left()).count();
      left.tv_sec = static_cast<std::time_t>(ns / 1'000'000'000);
      left.tv_nsec = static_cast<long>(ns % 1'000'000'000);
    }
    const int ready = ::ppoll(&entry, 1, deadline.is_forever() ? nullptr : &left, nullptr);
    if (ready > 0) return entry.revents;
    if (deadline.has_passed()) return 0;
  }
}

}  // namespace mews::inline MEWS_LAYOUT::os
