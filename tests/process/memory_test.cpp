// SPDX-License-Identifier: MIT
#include <signal.h>

#include <functional>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/failing_new.hpp"
#include "../unit/os_support.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
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
  CHECK(must(host.shutdown(kPatience)).is_clean());
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
  // One that comes or sits down only now is in: the next call has it. So the next joiner finds
  // nobody before it.
  const auto is_left = [&] {
    return eventually([&] {
      static_cast<void>(host.admit(0ms));
      host.process_events();
      return host.stats().plugins == 0 && os_test::has_exited(joiner.pidfd.get());
    });
  };
  const auto admitted = with_each_allocation_failing(
      [&] { return host.admit(kPatience); },
      [&](auto failed) {
        ++failures;
        // One that had sat down already is in.
        CHECK((outcome(failed) == "out_of_memory" || outcome(failed) == "ok"));
        failed = mews::fail(mews::ErrorCode::closed);
        REQUIRE(is_left());
        joiner = start_joiner();
        REQUIRE(outcome(host.admit(kPatience)) == "ok");
        REQUIRE(is_left());
        joiner = start_joiner();
      });
  CHECK(outcome(admitted) == "ok");
  CHECK(failures > 5);
}

TEST_CASE("memory: a call that fails says why, even where there is none for the details") {
  if (!kHasFailingNew) SKIP("needs an operator new that can fail");
  auto host = must(mews::Session::create(narrow_host(2)));
  auto [plugin, guest] = must(host.connect("guest"));
  auto& channel = plugin.channel();
  int failures = 0;
  const auto fails_as = [&](const char* expected, auto&& call) {
    const auto last = with_each_allocation_failing(call, [&](auto failed) {
      ++failures;
      CHECK(outcome(failed) == expected);
    });
    CHECK(outcome(last) == expected);
  };

  fails_as("timed_out", [&] { return channel.receive(1ms); });
  const std::function<void(const mews::MessageView&)> ignore = [](const mews::MessageView&) {};
  fails_as("timed_out", [&] { return channel.receive_batch(ignore, 1, 1ms); });

  std::vector<mews::Loan> loans;
  while (auto loan = channel.try_loan(65536))
    loans.push_back(std::move(*loan));
  fails_as("timed_out", [&] { return channel.loan(65536, 1ms); });
  fails_as("payload_too_large", [&] { return channel.try_loan(std::size_t{1} << 40); });
  loans.clear();

  const auto bytes = bytes_of("a small message");
  while (channel.try_send(bytes)) {
  }
  fails_as("timed_out", [&] { return channel.send(bytes, {}, 1ms); });

  auto echo = must(host.spawn("echo", command({"echo"})));
  REQUIRE(converse(echo.channel(), 3, 1).empty());
  must(echo.kill(SIGKILL));
  must(echo.wait_exit(kPatience));
  fails_as("peer_died", [&] { return echo.channel().receive(kPatience); });
  fails_as("peer_died", [&] { return echo.channel().send(bytes, {}, kPatience); });
  CHECK(failures >= 7);
}
