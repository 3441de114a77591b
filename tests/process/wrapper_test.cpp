// SPDX-License-Identifier: MIT
#include <fstream>
#include <iterator>
#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

// The end of the process that the host started is all that the host sees.
TEST_CASE("wrapper: a process that a spawned one starts gets no seat, and is told what to do") {
  const os_test::TempDir directory;
  auto host = must(mews::Session::create());
  const auto script = "\"$0\" echo 2> " + directory.file("a") + "; exit $?";
  auto plugin = must(host.spawn("wrapped", {"sh", "-c", script, command({}).at(0)}));
  const auto exit = must(plugin.wait_exit(kPatience));
  CHECK(exit.number == 100 + static_cast<int>(mews::ErrorCode::no_such_arena));
  std::ifstream file(directory.file("a"));
  const std::string said((std::istreambuf_iterator<char>(file)), {});
  CHECK_THAT(said, ContainsSubstring("started process " + std::to_string(plugin.pid())) &&
                       ContainsSubstring("exec"));
  CHECK(host.stats().is_all_free());
}

TEST_CASE("wrapper: a script that turns into the plugin is the plugin") {
  auto host = must(mews::Session::create());
  auto plugin = must(
      host.spawn("wrapped", {"sh", "-c", "true; exec \"$0\" \"$@\"", command({}).at(0), "echo"}));
  CHECK(converse(plugin.channel(), 10, 7).empty());
}
