// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdint>

#include "../support/catch.hpp"
#include "mews/os/event_fd.hpp"

namespace {

bool is_readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

}  // namespace

TEST_CASE("os: an eventfd is readable from the signal to the drain") {
  const auto fd = mews::os::make_event_fd().value();
  CHECK_FALSE(is_readable(fd.get()));
  mews::os::signal_event_fd(fd.get());
  mews::os::signal_event_fd(fd.get());
  CHECK(is_readable(fd.get()));
  mews::os::drain_event_fd(fd.get());
  CHECK_FALSE(is_readable(fd.get()));
}

TEST_CASE("os: neither a full eventfd nor an empty one blocks") {
  const auto fd = mews::os::make_event_fd().value();
  mews::os::drain_event_fd(fd.get());
  const std::uint64_t nearly_full = UINT64_MAX - 1;
  REQUIRE(::write(fd.get(), &nearly_full, sizeof nearly_full) == sizeof nearly_full);
  mews::os::signal_event_fd(fd.get());
  CHECK(is_readable(fd.get()));
}

TEST_CASE("os: an eventfd closes on exec") {
  const auto fd = mews::os::make_event_fd().value();
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}
