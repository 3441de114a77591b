// SPDX-License-Identifier: MIT
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <thread>

#include "../support/catch.hpp"
#include "../support/lingering.hpp"
#include "mews/os/closing.hpp"
#include "mews/os/socket.hpp"
#include "os_support.hpp"

namespace {

using mews::ErrorCode;
using mews::os::UniqueFd;

struct Ends {
  UniqueFd one;
  UniqueFd other;
};

Ends make_ends() {
  std::array<int, 2> raw{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, raw.data()) != 0) ::abort();
  return {UniqueFd(raw[0]), UniqueFd(raw[1])};
}

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

const std::array<std::byte, 3> kBytes{std::byte{1}, std::byte{2}, std::byte{3}};

}  // namespace

TEST_CASE("os: to close what lingers blocks nobody where nobody waits") {
  auto lingering = mews_test::lingering_socket();
  mews::os::close_where_nobody_waits(std::move(lingering.fd));
  // Once its other end is gone, so is the wait.
  lingering.other.reset();
  SUCCEED("the call has returned");
}

TEST_CASE("os: what is closed where nobody waits is closed") {
  auto pipe = os_test::make_pipe();
  mews::os::close_where_nobody_waits(std::move(pipe.writer));
  mews::os::close_where_nobody_waits({});
  char byte = 0;
  CHECK(::read(pipe.reader.get(), &byte, 1) == 0);  // until the last writer is gone
}

TEST_CASE("os: of a packet with descriptors none is received, and one without is") {
  const auto ends = make_ends();
  const std::array<int, 2> fds{0, 1};
  REQUIRE(mews::os::send_packet(ends.one.get(), kBytes, {}, os_test::kPatience));
  REQUIRE(mews::os::send_packet(ends.one.get(), kBytes, fds, os_test::kPatience));
  const auto before = open_descriptors();
  const auto plain = mews::os::receive_plain_packet(ends.other.get(), os_test::kPatience);
  REQUIRE(plain);
  CHECK(plain->size() == kBytes.size());
  for (int i = 0; i < 2; ++i) {  // it stays where it is
    CHECK(os_test::code_of(mews::os::receive_plain_packet(ends.other.get(), os_test::kPatience)) ==
          ErrorCode::peer_corrupt);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("os: a socket that refuses descriptors gets none, where the kernel knows how") {
  const auto ends = make_ends();
  if (!mews::os::refuse_rights(ends.other.get())) SKIP("the kernel has no SO_PASSRIGHTS");
  const std::array<int, 1> fds{0};
  CHECK_FALSE(mews::os::send_packet(ends.one.get(), kBytes, fds, os_test::kPatience));
  CHECK(mews::os::send_packet(ends.one.get(), kBytes, {}, os_test::kPatience));
}
