// SPDX-License-Identifier: MIT
#pragma once

#include <time.h>

#include <chrono>

#include "mews/deadline.hpp"

/// The steady clock as of the kernel's last tick: 5 ns to read, where the exact one takes 25 to 50
/// on a virtual machine (measured).
namespace mews::inline MEWS_LAYOUT::os {

/// It is behind by at most this: a tick of a kernel with 100 Hz.
inline constexpr std::chrono::milliseconds kCoarsest{10};

[[nodiscard]] inline Deadline::Clock::time_point coarse_now() noexcept {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return Deadline::Clock::time_point(std::chrono::seconds(now.tv_sec) +
                                     std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace mews::inline MEWS_LAYOUT::os
