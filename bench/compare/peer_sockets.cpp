// SPDX-License-Identifier: MIT
#include <sys/socket.h>

#include "compare/fd_peer.hpp"
#include "compare/peers.hpp"

namespace mews::bench::compare {
namespace {

void make_pair(int type, FdEnd& host, FdEnd& client) {
  int ends[2];
  require(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  for (const int fd : ends) {
    const int bytes = static_cast<int>(Setup::kQueueBytes);
    // Beyond the system's limit where this is root; else as much as there may be.
    if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0) {
      static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes));
    }
  }
  host = {ends[0], ends[0]};
  client = {ends[1], ends[1]};
}

struct Stream {
  static void connect(FdEnd& host, FdEnd& client) { make_pair(SOCK_STREAM, host, client); }
  static std::string refusal(std::size_t) { return {}; }

  static void put(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto done = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      require(done > 0, "send by a stream socket");
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }
  static bool get(int fd, std::span<std::byte> bytes, bool may_wait) {
    const auto whole = bytes.size();
    while (!bytes.empty()) {
      const auto done = ::recv(fd, bytes.data(), bytes.size(), may_wait ? 0 : MSG_DONTWAIT);
      if (done < 0 && errno == EAGAIN) {
        if (bytes.size() == whole) return false;
        continue;
      }
      require(done > 0, "receive from a stream socket");
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    return true;
  }
};

/// One message is one packet; the kernel makes none much longer than this.
constexpr std::size_t kLongestPacket = 128 << 10;

struct Packet {
  static void connect(FdEnd& host, FdEnd& client) { make_pair(SOCK_SEQPACKET, host, client); }
  static std::string refusal(std::size_t bytes) {
    return bytes > kLongestPacket ? "no packets of that size" : "";
  }

  static void put(int fd, std::span<const std::byte> bytes) {
    const auto done = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    require(done == static_cast<ssize_t>(bytes.size()), "send by a packet socket");
  }
  static bool get(int fd, std::span<std::byte> bytes, bool may_wait) {
    const auto done = ::recv(fd, bytes.data(), bytes.size(), may_wait ? 0 : MSG_DONTWAIT);
    if (done < 0 && errno == EAGAIN) return false;
    require(done == static_cast<ssize_t>(bytes.size()), "receive from a packet socket");
    return true;
  }
};

const bool is_stream_added = add_peer<FdPeer<Stream>>("Unix stream socket", 20);
const bool is_packet_added = add_peer<FdPeer<Packet>>("Unix packet socket", 21);

}  // namespace
}  // namespace mews::bench::compare
