// SPDX-License-Identifier: MIT
#include "mews/os/event_fd.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace mews::inline MEWS_LAYOUT::os {

Result<UniqueFd> make_event_fd() {
  auto fd = own_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return tl::unexpected(Error::os(errno, "eventfd"));
  return fd;
}

void signal_event_fd(int fd) noexcept {
  const std::uint64_t one = 1;
  while (::write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void drain_event_fd(int fd) noexcept {
  std::uint64_t count = 0;
  while (::read(fd, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace mews::inline MEWS_LAYOUT::os
