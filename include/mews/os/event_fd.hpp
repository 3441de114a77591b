// SPDX-License-Identifier: MIT
#pragma once

#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

namespace mews::os {

/// A new eventfd: non-blocking, close-on-exec, zero.
[[nodiscard]] Result<UniqueFd> make_event_fd();

/// Makes `fd` readable. Never blocks; a full counter is readable already.
void signal_event_fd(int fd) noexcept;

/// Makes `fd` unreadable again. Never blocks.
void drain_event_fd(int fd) noexcept;

#if defined(MEWS_STEPPED)
/// Stands in for `signal_event_fd` in the model checker; null means the real one.
inline void (*event_fd_model)(int fd) = nullptr;
#endif

}  // namespace mews::os
