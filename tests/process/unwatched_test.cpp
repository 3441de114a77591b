// SPDX-License-Identifier: MIT
#include "../support/catch.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "site.hpp"

namespace {

using namespace process_test;

}  // namespace

TEST_CASE("recovery: a process that dies while its seat is given up takes nothing with it") {
  const auto host = must(mews::os::spawn({.arguments = {MEWS_TEST_BIN_DIR "/unwatched_child",
                                                        "@" + unique_name("mews-test-unwatched")},
                                          .environment = {},
                                          .inherited_fds = {}}));
  REQUIRE(mews::os::wait_for_exit(host.pidfd.get(), kPatience));
  const auto status = mews::os::reap(host.pidfd.get());
  REQUIRE(status);
  CHECK(status->describe() == "exit code 0");
}
