// SPDX-License-Identifier: MIT
#include <string>

#include "../support/catch.hpp"
#include "../support/failing_new.hpp"
#include "mews/os/process.hpp"
#include "site.hpp"

using namespace process_test;
using mews_test::kHasFailingNew;
using mews_test::with_each_allocation_failing;

namespace {

/// Two seats for each plugin, and no thread whose allocations nobody counts.
mews::CreateOptions narrow_host(std::uint32_t max_plugins) {
  auto options = small_arena();
  options.max_plugins = max_plugins;
  options.local.watcher = mews::Watcher::none;
  return options;
}

/// Waits until no plugin sits in the arena.
bool is_left_alone(mews::Session& host) {
  return eventually([&] {
    host.process_events();
    return host.stats().plugins == 0;
  });
}

}  // namespace

TEST_CASE("memory: wherever connect runs out of it, the seat can be had afterwards") {
  if (!kHasFailingNew) SKIP("needs an operator new that can fail");
  auto host = must(mews::Session::create(narrow_host(1)));
  int failures = 0;
  const std::string name = "guest";
  {
    const auto connected =
        with_each_allocation_failing([&] { return host.connect("guest"); },
                                     [&](auto failed) {
                                       ++failures;
                                       CHECK(outcome(failed) == "out_of_memory");
                                       host.process_events();
                                       REQUIRE(outcome(host.connect("next")) == "ok");
                                       host.process_events();
                                     });
    CHECK(outcome(connected) == "ok");
    CHECK(host.stats().plugins == 1);
  }
  CHECK(failures > 5);
  CHECK(is_left_alone(host));
}

TEST_CASE("memory: wherever spawn runs out of it, no process runs on and the seat can be had") {
  if (!kHasFailingNew) SKIP("needs an operator new that can fail");
  auto host = must(mews::Session::create(narrow_host(1)));
  const std::string name = "guest";
  const auto words = command({"echo"});
  int failures = 0;
  const auto spawned = with_each_allocation_failing([&] { return host.spawn(name, words); },
                                                    [&](auto failed) {
                                                      ++failures;
                                                      CHECK(outcome(failed) == "out_of_memory");
                                                      // One that was started and has no handle ends
                                                      // by itself, as its channel is closed.
                                                      REQUIRE(eventually([&] {
                                                        host.process_events();
                                                        auto next = host.spawn("next", {"true"});
                                                        return next && next->wait_exit(kPatience);
                                                      }));
                                                    });
  CHECK(outcome(spawned) == "ok");
  CHECK(failures > 20);
  CHECK(host.shutdown(kPatience).empty());
  CHECK(is_left_alone(host));
}

TEST_CASE("memory: wherever admit runs out of it, the next caller is admitted") {
  if (!kHasFailingNew) SKIP("needs an operator new that can fail");
  const auto address = "@" + unique_name("mews-test-memory");
  auto host = must(mews::Session::create(narrow_host(2)));
  must(host.listen(address));
  const auto start_joiner = [&] {
    return must(mews::os::spawn({.arguments = command({"socket", address, "echo"}),
                                 .environment = {},
                                 .inherited_fds = {}}));
  };
  int failures = 0;
  auto joiner = start_joiner();
  const auto admitted = with_each_allocation_failing(
      [&] { return host.admit(kPatience); },
      [&](auto failed) {
        ++failures;
        // One that had sat down already is in.
        CHECK((outcome(failed) == "out_of_memory" || outcome(failed) == "ok"));
        failed = mews::fail(mews::ErrorCode::closed);
        REQUIRE(is_left_alone(host));
        joiner = start_joiner();
        REQUIRE(outcome(host.admit(kPatience)) == "ok");
        REQUIRE(is_left_alone(host));
        joiner = start_joiner();
      });
  CHECK(outcome(admitted) == "ok");
  CHECK(failures > 5);
}
