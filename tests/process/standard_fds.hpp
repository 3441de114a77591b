// SPDX-License-Identifier: MIT
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "roles.hpp"

/// A process that was started with some of its standard descriptors closed: bit n of `closed` is
/// descriptor n.
namespace process_test {

/// Prints to those; what is wrong, or nothing: each must be no descriptor at all.
[[nodiscard]] inline std::string print_everywhere(unsigned closed) {
  const std::string text(256, '#');
  for (int fd = 0; fd < 3; ++fd) {
    if ((closed >> fd & 1) == 0) continue;
    if (::write(fd, text.data(), text.size()) >= 0 || errno != EBADF) {
      return "descriptor " + std::to_string(fd) + " is written to";
    }
    // What is open for reading alone is not written to, but it is open.
    if (::fcntl(fd, F_GETFD) >= 0) return "descriptor " + std::to_string(fd) + " is open";
  }
  return {};
}

/// "standard CLOSED": says whether one of them has come to be open, and echoes.
[[nodiscard]] inline int standard(mews::Channel& channel, const Words& words) {
  auto said = print_everywhere(static_cast<unsigned>(std::stoul(words.at(1))));
  if (said.empty()) said = "none is open";
  if (auto sent = channel.send(bytes_of(said)); !sent) return exit_code(sent.error());
  return echo(channel);
}

}  // namespace process_test
