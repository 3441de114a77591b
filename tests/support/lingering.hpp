// SPDX-License-Identifier: MIT
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "mews/os/unique_fd.hpp"

namespace mews_test {

/// A TCP socket whose last close blocks: it has SO_LINGER, and data that its other end, which stays
/// open, never reads.
struct Lingering {
  mews::os::UniqueFd fd;
  mews::os::UniqueFd other;
};

inline Lingering lingering_socket() {
  const mews::os::UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  socklen_t bytes = sizeof address;
  const int small = 2048;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  if (::bind(listener.get(), name, bytes) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), name, &bytes) != 0) {
    throw std::runtime_error("no TCP listener");
  }
  Lingering made;
  made.fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(made.fd.get(), name, bytes) != 0) throw std::runtime_error("no TCP connection");
  made.other.reset(::accept(listener.get(), nullptr, nullptr));
  const linger wait{.l_onoff = 1, .l_linger = 600};
  ::setsockopt(made.fd.get(), SOL_SOCKET, SO_LINGER, &wait, sizeof wait);
  ::fcntl(made.fd.get(), F_SETFL, O_NONBLOCK);
  std::array<char, 1 << 14> junk{};
  while (::send(made.fd.get(), junk.data(), junk.size(), MSG_NOSIGNAL) > 0) {
  }
  return made;
}

}  // namespace mews_test
