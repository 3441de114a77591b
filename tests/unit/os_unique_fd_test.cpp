// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include <utility>

#include "../support/catch.hpp"
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
