// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

/// Unix sockets (SOCK_SEQPACKET) that carry one small packet with descriptors. An address that
/// starts with '@' is in the abstract namespace: it needs no file and vanishes with its socket.
namespace mews::inline MEWS_LAYOUT::os {

/// The process at the other end, by the kernel's word (SO_PEERCRED).
struct PeerCredentials {
  pid_t pid;
  uid_t uid;
};

struct Packet {
  std::vector<std::byte> bytes;
  std::vector<UniqueFd> fds;
};

/// Returns a listening socket, close-on-exec, non-blocking. A path gets mode 0600, whatever the
/// umask is. A dead listener's path is replaced; a living listener's, or one that is no socket, is
/// `already_exists`. Blocks for at most about 2 seconds (`timed_out`) while another process holds
/// the flock of the directory, which makes the replacement safe.
[[nodiscard]] Result<UniqueFd> listen_unix(const std::string& address);

/// The same at a path that the caller owns by other means: removes the old file there, without a
/// lock. Never blocks.
[[nodiscard]] Result<UniqueFd> listen_at_own_path(const std::string& path);

/// Returns the next connection: `timed_out` when none comes, `os_error` (EBADF/EINVAL) when closed.
[[nodiscard]] Result<UniqueFd> accept_unix(int listener, Deadline deadline);

/// `no_such_arena` when nobody listens there, `permission_denied`, `timed_out`.
[[nodiscard]] Result<UniqueFd> connect_unix(const std::string& address, Deadline deadline);

[[nodiscard]] Result<PeerCredentials> peer_credentials(int socket);

/// Returns a pidfd of the process at the other end, whose id `peer_credentials` gave as `pid`: by
/// the kernel's word (SO_PEERPIDFD, Linux 6.5), elsewhere by its number. `os_error` with ESRCH: it
/// is gone.
[[nodiscard]] Result<UniqueFd> peer_pidfd(int socket, pid_t pid);

/// Sends one packet of 1 to 4096 bytes with at most 16 descriptors. No SIGPIPE. `closed` when the
/// other end hung up, `timed_out` when it does not receive.
[[nodiscard]] Result<void> send_packet(int socket, std::span<const std::byte> bytes,
                                       std::span<const int> fds, Deadline deadline);

/// Receives one packet; the descriptors are close-on-exec. `closed` when the other end hung up,
/// `timed_out`, `peer_corrupt` when it was truncated, `os_error` (EMFILE) when this process may not
/// open so many descriptors. Descriptors of a refused packet are closed.
[[nodiscard]] Result<Packet> receive_packet(int socket, Deadline deadline);

/// Receives one packet from any process that may connect. A packet with descriptors is
/// `peer_corrupt` and stays in the socket: this process must not get the last reference to the
/// files behind them.
[[nodiscard]] Result<std::vector<std::byte>> receive_plain_packet(int socket, Deadline deadline);

}  // namespace mews::inline MEWS_LAYOUT::os
