// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "mews/os/socket.hpp"
#include "poll_until.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

constexpr std::size_t kMaxPacketBytes = 4096;
constexpr std::size_t kMaxPacketFds = 16;

/// Returns the descriptors of a message, all owned from here on. One is empty if it could not be
/// moved away from the standard ones.
void take_fds(msghdr& header, std::vector<UniqueFd>& fds) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      fds.push_back(own_fd(fd));
    }
  }
}

bool is_hang_up(int os_errno) noexcept {
  return os_errno == EPIPE || os_errno == ECONNRESET;
}

/// Room for the control message of a packet's descriptors, with the kernel's alignment.
struct ControlBuffer {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxPacketFds * sizeof(int))> bytes{};
};

}  // namespace

Result<void> send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds,
                         Deadline deadline) {
  // An empty packet would read as the end of the connection.
  if (bytes.empty() || bytes.size() > kMaxPacketBytes || fds.size() > kMaxPacketFds)
    return fail(ErrorCode::invalid_argument,
                fmt::format("a packet of {} bytes with {} descriptors; 1 to {} with at most {} fit",
                            bytes.size(), fds.size(), kMaxPacketBytes, kMaxPacketFds));
  iovec body{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  ControlBuffer control;
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return {};
    if (is_hang_up(errno)) return fail(ErrorCode::closed, errno, "the other end hung up");
    if (errno != EAGAIN && errno != EINTR)
      return tl::unexpected(Error::os(errno, "sendmsg", fmt::format("descriptor {}", socket)));
    if (errno == EAGAIN && poll_until(socket, POLLOUT, deadline) == 0)
      return fail(ErrorCode::timed_out, "the other end does not receive its packets");
  }
}

namespace {

struct Received {
  ssize_t count;
  int error;
};

/// Calls `receive_once` until it has a packet. Returns its bytes.
template <class ReceiveOnce>
Result<std::size_t> receive_by(int socket, Deadline deadline, ReceiveOnce&& receive_once) {
  // The kernel looks for a packet before it looks for the other end, so the last packet may have
  // come in between; and it reports a reset before the packets sent ahead of it. So at the end this
  // looks for a packet once more.
  std::optional<Error> end;
  for (;;) {
    const auto [count, error] = receive_once();
    if (count > 0) return static_cast<std::size_t>(count);
    if (end) return tl::unexpected(std::move(*end));
    if (count == 0 || is_hang_up(error)) {
      end.emplace(ErrorCode::closed, error, "the other end hung up");
      continue;
    }
    if (error != EAGAIN && error != EINTR)
      return tl::unexpected(Error::os(error, "recvmsg", fmt::format("descriptor {}", socket)));
    if (error == EAGAIN && poll_until(socket, POLLIN, deadline) == 0)
      return fail(ErrorCode::timed_out, "the other end sent nothing");
  }
}

Received receive_message(int socket, msghdr& header, int flags) noexcept {
  const auto count = ::recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  return {count, count < 0 ? errno : 0};
}

}  // namespace

Result<Packet> receive_packet(int socket, Deadline deadline) {
  Packet packet;
  packet.bytes.resize(kMaxPacketBytes);
  packet.fds.reserve(kMaxPacketFds);  // nothing may throw between the kernel's hand and ours
  int flags = 0;
  const auto count = receive_by(socket, deadline, [&] {
    iovec body{.iov_base = packet.bytes.data(), .iov_len = packet.bytes.size()};
    ControlBuffer control;
    msghdr header{};
    header.msg_iov = &body;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    packet.fds.clear();
    const StandardFdGuard guard;
    const auto received = receive_message(socket, header, 0);
    if (received.count >= 0) take_fds(header, packet.fds);
    flags = header.msg_flags;
    return received;
  });
  if (!count) return tl::unexpected(std::move(count.error()));
  const bool has_all = std::ranges::all_of(packet.fds, [](const auto& fd) { return bool(fd); });
  if (!has_all || ((flags & MSG_CTRUNC) != 0 && packet.fds.size() < kMaxPacketFds)) {
    packet.fds.clear();  // first, as there are too few
    return tl::unexpected(Error::os(EMFILE, "recvmsg", "a packet with descriptors"));
  }
  if ((flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return fail(ErrorCode::peer_corrupt, "a packet with more bytes or descriptors than allowed");
  packet.bytes.resize(*count);
  return packet;
}

Result<std::vector<std::byte>> receive_plain_packet(int socket, Deadline deadline) {
  std::vector<std::byte> bytes(kMaxPacketBytes);
  int flags = 0;
  const auto count = receive_by(socket, deadline, [&] {
    iovec body{.iov_base = bytes.data(), .iov_len = bytes.size()};
    msghdr header{};
    header.msg_iov = &body;
    header.msg_iovlen = 1;
    // A look (MSG_PEEK) gets no reference that could be the last; without room for descriptors it
    // still reports them.
    auto looked = receive_message(socket, header, MSG_PEEK);
    flags = header.msg_flags;
    if (looked.count > 0 && (flags & MSG_CTRUNC) == 0) return receive_message(socket, header, 0);
    return looked;
  });
  if (!count) return tl::unexpected(std::move(count.error()));
  if ((flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return fail(ErrorCode::peer_corrupt, "a packet with too many bytes, or with descriptors");
  bytes.resize(*count);
  return bytes;
}

}  // namespace mews::inline MEWS_LAYOUT::os
