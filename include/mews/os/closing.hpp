// SPDX-License-Identifier: MIT
#pragma once

#include "mews/os/unique_fd.hpp"

/// Descriptors by which another process, of any user, could make this one wait. The last `close` of
/// what such a descriptor names may block: a TCP socket with SO_LINGER, a file of a file system
/// that does not answer. Any process that may connect to a socket may send such a descriptor, and
/// this process has the last reference once the sender has closed its own.
namespace mews::inline MEWS_LAYOUT::os {

/// Makes the kernel refuse descriptors sent to `socket` and to connections accepted from it
/// (SO_PASSRIGHTS, Linux 6.16). Returns false where the kernel knows no such option.
[[nodiscard]] bool refuse_rights(int socket) noexcept;

/// Closes `fd` in a thread of its own, which may need for ever. Never blocks. If no thread can be
/// started, it stays open.
void close_where_nobody_waits(UniqueFd fd) noexcept;

}  // namespace mews::inline MEWS_LAYOUT::os
