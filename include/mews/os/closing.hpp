// SPDX-License-Identifier: MIT
#pragma once

#include "mews/os/unique_fd.hpp"

/// Descriptors by which another process, of any user, could make this one wait. The last `close` of
/// what such a descriptor names may block: a TCP socket with SO_LINGER, a file of a file system
/// that does not answer. Whoever may connect to a socket may send such a descriptor, and this
/// process has the last reference once the sender has closed its own.
namespace mews::inline MEWS_LAYOUT::os {

/// Has the kernel refuse descriptors that are sent to `socket`, and to what is accepted from it
/// (SO_PASSRIGHTS, Linux 6.16). False where it knows no such option.
[[nodiscard]] bool refuse_rights(int socket) noexcept;

/// Closes it in a thread of its own, which may take for ever. Never blocks. Where no thread can be
/// started, it stays open.
void close_where_nobody_waits(UniqueFd fd) noexcept;

}  // namespace mews::inline MEWS_LAYOUT::os
