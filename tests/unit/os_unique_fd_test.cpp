// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include <utility>

#include "../support/catch.hpp"
#include "mews/os/private_fd.hpp"
#include "mews/os/unique_fd.hpp"
#include "os_support.hpp"

using mews::os::UniqueFd;

namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("os: a UniqueFd closes its descriptor when it goes") {
  int number = -1;
  {
    const auto pipe = os_test::make_pipe();
    number = pipe.reader.get();
    REQUIRE(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("os: a moved UniqueFd leaves nothing behind and closes what it replaces") {
  auto pipe = os_test::make_pipe();
  const int reader = pipe.reader.get();
  const int writer = pipe.writer.get();
  pipe.reader = std::move(pipe.writer);
  CHECK_FALSE(is_open(reader));
  CHECK(is_open(writer));
  CHECK(pipe.reader.get() == writer);
  CHECK_FALSE(pipe.writer);
}

TEST_CASE("os: a released descriptor stays open") {
  auto pipe = os_test::make_pipe();
  const UniqueFd kept(pipe.reader.release());
  pipe.reader.reset();
  CHECK(is_open(kept.get()));
  CHECK_FALSE(pipe.reader);
}

TEST_CASE("os: a descriptor that comes at a standard one's number is moved away from it") {
  os_test::Fork child([] {
    ::close(0);
    ::close(1);
    const auto fd = mews::os::own_fd(::open("/", O_RDONLY | O_CLOEXEC));
    const bool is_moved = fd.get() >= mews::os::kFirstOwnFd && !is_open(0) && !is_open(1);
    if (!is_moved || (::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) == 0) return 1;
    {
      const mews::os::StandardFdGuard guard;
      if (!is_open(0) || !is_open(1) || ::write(1, "x", 1) >= 0) return 2;
    }
    return is_open(0) || is_open(1) ? 3 : 0;
  });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE("os: a forked child has no private descriptor, and its copies close nothing else") {
  auto pipe = os_test::make_pipe();
  mews::os::PrivateFd writer(std::move(pipe.writer));
  mews::os::PrivateFd moved(std::move(writer));
  const int number = moved.get();
  os_test::Fork child([&] {
    if (moved || is_open(number)) return 1;
    const int other = ::fcntl(0, F_DUPFD, number);  // what comes at that number is not ours
    moved.reset();
    return is_open(other) ? 0 : 2;
  });
  CHECK(child.outcome() == "exit code 0");
  CHECK(is_open(number));
  moved.reset();
  CHECK_FALSE(is_open(number));
}
