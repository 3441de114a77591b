// SPDX-License-Identifier: MIT
#include <signal.h>

#include <string>

#include "../support/catch.hpp"
#include "exit_log.hpp"
#include "mews/os/process.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("stop: a plugin that would be restarted is ended for good, by signals if need be") {
  const bool is_deaf = GENERATE(false, true);
  ExitLog log;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", command({is_deaf ? "deaf" : "mute"}), on_crash(log)));
  must(plugin.channel().receive(kPatience));
  const auto exit = must(plugin.stop(0ms));
  CHECK(exit.number == (is_deaf ? SIGKILL : SIGTERM));
  CHECK_FALSE(exit.will_restart);
  CHECK_FALSE(plugin.is_alive());
  CHECK(outcome(plugin.renew(kPatience)) == "peer_died");
  CHECK(must(plugin.stop(kPatience)).number == exit.number);
  CHECK(log.lines(1).size() == 1);
  CHECK(host.stats().is_all_free());
}

TEST_CASE("stop: a polite plugin exits by itself, and its name is free again") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", command({"echo"})));
  CHECK(converse(plugin.channel(), 5, 1).empty());
  CHECK(must(plugin.stop(kPatience)).description == "fonts: exit code 0");
  plugin = must(host.spawn("fonts", command({"echo"})));
  CHECK(converse(plugin.channel(), 5, 2).empty());
}

TEST_CASE("stop: a restart that is planned does not happen, and is not spoken of any more") {
  ExitLog log;
  auto options = on_crash(log);
  options.restart_delay = std::chrono::hours(1);
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", command({"crash_on_request"}), options));
  must(plugin.channel().send(bytes_of("x")));
  CHECK(must(plugin.wait_exit(kPatience)).will_restart);
  const auto exit = must(plugin.stop(kPatience));
  CHECK_FALSE(exit.will_restart);
  CHECK(exit.description == "fonts: exit code 7");
  const auto renewed = plugin.renew(kPatience);
  REQUIRE(outcome(renewed) == "peer_died");
  CHECK_THAT(renewed.error().message(), !ContainsSubstring("restart"));
}

TEST_CASE("stop: a plugin within the host's process, which no signal can end, is an error") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("guest"));
  CHECK(outcome(plugin.stop(0ms)) == "os_error");
  CHECK(outcome(guest.channel().receive(kPatience)) == "closed");
}

TEST_CASE(
    "restart: a plugin that keeps failing is given up after as many restarts as are allowed") {
  ExitLog log;
  auto options = on_crash(log);
  options.restart_limit = 3;
  options.restart_window = std::chrono::hours(1);
  options.restart_delay_limit = 1ms;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("flaky", command({"exit", "5"}), options));
  const auto exits = log.exits(4);
  REQUIRE(exits.size() == 4);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK((exits[i].will_restart && !exits[i].gave_up));
  CHECK((!exits[3].will_restart && exits[3].gave_up));
  CHECK(exits[3].description == "flaky: exit code 5, given up after 3 restarts within 3600.0 s");
  REQUIRE(eventually([&] { return outcome(plugin.renew(0ms)) == "peer_died"; }));
  CHECK(log.lines(4).size() == 4);
}

TEST_CASE("restart: by default a plugin that fails at once is not started for ever") {
  ExitLog log;
  auto options = on_crash(log);
  options.restart_delay_limit = 1ms;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("flaky", {"false"}, options));
  CHECK(log.exits(11).back().gave_up);
}

TEST_CASE("restart: restarts outside the window do not count") {
  ExitLog log;
  auto options = on_crash(log);
  options.restart_limit = 1;
  options.restart_window = 0ms;
  options.restart_delay_limit = 2ms;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("flaky", {"false"}, options));
  for (const auto& exit : log.exits(4))
    CHECK(exit.will_restart);
}

TEST_CASE("restart: a plugin whose handle was dropped is not started again") {
  ExitLog log;
  auto host = must(mews::Session::create());
  mews::os::UniqueFd pidfd;
  {
    auto plugin = must(host.spawn("mute", command({"mute"}), on_crash(log)));
    must(plugin.channel().receive(kPatience));
    pidfd = must(mews::os::open_pidfd(plugin.pid()));
  }
  must(mews::os::send_signal(pidfd.get(), SIGKILL));
  const auto exits = log.exits(1);
  REQUIRE(exits.size() == 1);
  CHECK(exits[0].description == "mute: signal 9 (Killed)");
  CHECK_FALSE(exits[0].will_restart);
}

TEST_CASE("restart: dropping the handle calls off a restart that is planned") {
  ExitLog log;
  auto options = on_crash(log);
  options.restart_delay = std::chrono::hours(1);
  auto session = small_arena();
  session.max_plugins = 1;
  auto host = must(mews::Session::create(session));
  {
    auto plugin = must(host.spawn("mute", command({"mute"}), options));
    must(plugin.kill(SIGKILL));
    CHECK(must(plugin.wait_exit(kPatience)).will_restart);
    CHECK(outcome(host.connect("next")) == "too_many_peers");
  }
  CHECK(outcome(host.connect("next")) == "ok");
}
