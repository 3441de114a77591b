// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mews::bench::compare {

/// How an end waits for a message.
enum class Wait : std::uint8_t {
  spin,    ///< looks again and again; a host of several clients looks at each in turn
  usual,   ///< as the library does without options
  sleep,   ///< sleeps at once
  events,  ///< a host's event loop, for any number of clients: epoll or the library's own
};

/// One host and its clients. The sizes are those of all messages of a run.
struct Setup {
  unsigned clients = 1;
  std::size_t request_bytes = 64;  ///< client to host
  std::size_t reply_bytes = 64;    ///< host to client
  Wait host_wait = Wait::usual;
  Wait client_wait = Wait::usual;

  /// Bytes that may be on their way in one direction of one connection, the same for all peers.
  static constexpr std::size_t kQueueBytes = std::size_t{8} << 20;
  static constexpr std::size_t kMostQueued = 512;

  [[nodiscard]] std::size_t largest() const { return std::max(request_bytes, reply_bytes); }
  /// The length of a queue of such messages.
  [[nodiscard]] static std::size_t queued(std::size_t bytes) {
    return std::clamp(kQueueBytes / bytes, std::size_t{2}, kMostQueued);
  }
};

/// A request as the host gets it; the bytes are valid until `release`.
struct Arrival {
  unsigned client = 0;
  std::span<const std::byte> bytes;
};

}  // namespace mews::bench::compare
