// SPDX-License-Identifier: MIT
#pragma once

#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Returns a new eventfd: non-blocking, close-on-exec, zero. For this process alone: a process with
/// a descriptor of it can make it blocking for all others.
[[nodiscard]] Result<UniqueFd> make_event_fd();

/// Makes `fd` readable. Never blocks; a full counter is readable already.
void signal_event_fd(int fd) noexcept;

/// Makes `fd` unreadable again. Never blocks.
void drain_event_fd(int fd) noexcept;

}  // namespace mews::inline MEWS_LAYOUT::os
