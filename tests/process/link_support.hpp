// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>

#include <string>

#include "link_site.hpp"

/// What the tests of links ask.
namespace process_test {

/// Waits until the link has no open call and the arena no slab in use.
[[nodiscard]] inline bool is_all_back(LinkPair& pair) {
  return eventually([&pair] {
    (void)pair.here().dispatch();
    return pair.here().open_calls() == 0 && pair.host().stats().is_all_free();
  });
}

[[nodiscard]] inline std::string text_of(const mews::Result<mews::Message>& reply) {
  return reply ? std::string(reply->text()) : reply.error().message();
}

[[nodiscard]] inline bool is_readable(int fd) {
  pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll, 1, 0) == 1;
}
[[nodiscard]] inline bool becomes_readable(int fd) {
  pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll, 1, 45'000) == 1;
}

}  // namespace process_test
