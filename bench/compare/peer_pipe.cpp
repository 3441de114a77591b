// SPDX-License-Identifier: MIT
#include "compare/fd_peer.hpp"
#include "compare/peers.hpp"

namespace mews::bench::compare {
namespace {

struct Pipe {
  static void connect(FdEnd& host, FdEnd& client) {
    int there[2];
    int back[2];
    require(::pipe2(there, O_CLOEXEC) == 0 && ::pipe2(back, O_CLOEXEC) == 0, "pipe2");
    for (const int fd : {there[1], back[1]}) {
      // As much as there may be, up to a queue.
      for (int bytes = static_cast<int>(Setup::kQueueBytes); bytes > (64 << 10); bytes /= 2) {
        if (::fcntl(fd, F_SETPIPE_SZ, bytes) >= 0) break;
      }
    }
    host = {there[0], back[1]};
    client = {back[0], there[1]};
  }
  static std::string refusal(std::size_t) { return {}; }

  static void put(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto done = ::write(fd, bytes.data(), bytes.size());
      require(done > 0, "write to a pipe");
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }
  static bool get(int fd, std::span<std::byte> bytes, bool may_wait) {
    set_blocking(fd, may_wait);
    const auto whole = bytes.size();
    while (!bytes.empty()) {
      const auto done = ::read(fd, bytes.data(), bytes.size());
      if (done < 0 && errno == EAGAIN) {
        if (bytes.size() == whole) return false;
        continue;
      }
      require(done > 0, "read from a pipe");
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    return true;
  }

 private:
  /// A descriptor's readers all wait, or none does: it is told once.
  static void set_blocking(int fd, bool may_wait) {
    static std::array<bool, 1024> is_told{};
    auto& told = is_told.at(static_cast<std::size_t>(fd));
    if (may_wait || told) return;
    require(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    told = true;
  }
};

const bool is_added = add_peer<FdPeer<Pipe>>("pipe", 22);

}  // namespace
}  // namespace mews::bench::compare
