// SPDX-License-Identifier: MIT
#include <signal.h>

#include <functional>
#include <optional>
#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

/// Does `block` in a thread, kills the plugin once that has had time to fall asleep, or has not.
std::string killed_during(Site& site, std::chrono::milliseconds pause,
                          const std::function<std::string()>& block) {
  std::string result;
  std::thread blocked([&] { result = block(); });
  std::this_thread::sleep_for(pause);
  must(site.plugin().kill(SIGKILL));
  blocked.join();
  return result;
}

/// SIGSTOP, and the time it takes to arrive.
void stop(mews::Plugin& plugin) {
  must(plugin.kill(SIGSTOP));
  if (!eventually([&] { return state_of(plugin.pid()) == 'T'; })) throw std::runtime_error("runs");
}

}  // namespace

TEST_CASE("death: a host that waits for a message, for ever, is told peer_died") {
  const auto pause = GENERATE(0ms, 30ms);
  Site site(Where::two_processes, {"mute"});
  must(site.channel().receive(kPatience));
  CHECK(killed_during(site, pause, [&] {
          return outcome(site.channel().receive(mews::forever));
        }) == "peer_died");
  CHECK(outcome(site.channel().receive(mews::forever)) == "peer_died");
  CHECK(outcome(site.channel().try_receive()) == "peer_died");
  CHECK(outcome(site.channel().send(bytes_of("x"), {}, mews::forever)) == "peer_died");
  // Both errors say how it died.
  const std::string how = "the process at the other end died: mute: signal 9 (Killed)";
  CHECK(site.channel().receive(mews::forever).error().message() == how);
  CHECK(site.channel().try_send(bytes_of("x")).error().message() == how);
}

TEST_CASE("death: a host that waits for room in the lane, for ever, is told peer_died") {
  const auto pause = GENERATE(0ms, 30ms);
  Site site(Where::two_processes, {"mute"}, small_arena());
  must(site.channel().receive(kPatience));
  const auto bytes = GENERATE(100, 5000);
  while (auto loan = site.channel().try_loan(4096)) {
    if (!site.channel().try_send(std::move(*loan))) break;
  }
  while (site.channel().try_send(bytes_of("x"))) {
  }
  auto loan = must(site.channel().loan(static_cast<std::size_t>(bytes)));
  fill(loan.bytes(), 1);
  CHECK(killed_during(site, pause, [&] {
          return outcome(site.channel().send(std::move(loan), {}, mews::forever));
        }) == "peer_died");
  CHECK(is_filled(loan.bytes(), 1));
  must(site.plugin().wait_exit(kPatience));
  loan = {};
  CHECK(site.host().stats().is_all_free());
}

TEST_CASE("death: a host that waits for memory gets what the dead plugin held") {
  const auto pause = GENERATE(0ms, 30ms);
  Site site(Where::two_processes, {"hold_and_hang", "65536"}, small_arena());
  REQUIRE(must(site.channel().receive(kPatience)).text() == "8");
  CHECK(killed_during(site, pause,
                      [&] { return outcome(site.channel().loan(65536, mews::forever)); }) == "ok");
  must(site.plugin().wait_exit(kPatience));
  CHECK(site.host().stats().is_all_free());
}

TEST_CASE("death: what was sent before it is received in order, then peer_died") {
  const bool is_known_dead = GENERATE(true, false);
  const auto salt = GENERATE(1000, 2000, 3000);
  Site site(Where::two_processes, {"burst", "40", std::to_string(salt)});
  if (is_known_dead) {
    const auto exit = must(site.plugin().wait_exit(kPatience));
    CHECK((exit.is_signal && exit.number == SIGKILL));
  }
  CHECK(receive_stream(site.channel(), 40, static_cast<std::uint64_t>(salt)).empty());
  CHECK(outcome(site.channel().receive(kPatience)) == "peer_died");
  must(site.plugin().wait_exit(kPatience));
  CHECK(site.host().stats().is_all_free());
}

TEST_CASE("death: what was sent and never received goes back with the handle") {
  auto host = must(mews::Session::create());
  {
    auto plugin = must(host.spawn("burst", command({"burst", "40", "1000"})));
    must(plugin.wait_exit(kPatience));
    CHECK_FALSE(host.stats().is_all_free());
  }
  CHECK(eventually([&] { return host.stats().is_all_free(); }));
}

TEST_CASE("death: what nobody can receive goes back with whoever had the channel last") {
  const auto last = GENERATE(0, 1);
  auto host = must(mews::Session::create(small_arena()));
  auto [other, guest] = must(host.connect("other"));
  std::optional<mews::SharedSender> sender;
  std::optional<mews::Channel> channel;
  {
    auto plugin = must(host.spawn("pours", command({"pour", "65536"})));
    must(plugin.wait_exit(kPatience));
    if (last == 0) {
      sender.emplace(plugin.channel().shared());
    } else {
      channel.emplace(std::move(plugin.channel()));
    }
  }
  REQUIRE(outcome(other.channel().try_loan(65536)) == "no_slab");
  std::string waited;
  std::thread waiter(
      [&, &other = other] { waited = outcome(other.channel().loan(65536, kPatience)); });
  sender.reset();
  channel.reset();
  waiter.join();
  CHECK(waited == "ok");
  CHECK(host.stats().is_all_free());
}

TEST_CASE("death: what was sent to a plugin that never read it goes back") {
  Site site(Where::two_processes, {"mute"}, small_arena());
  must(site.channel().receive(kPatience));
  for (int i = 0; i < 8; ++i)
    must(site.channel().send(must(site.channel().loan(65536))));
  CHECK(outcome(site.channel().try_loan(65536)) == "no_slab");
  must(site.plugin().kill(SIGKILL));
  CHECK(outcome(site.channel().loan(65536, kPatience)) == "ok");
  must(site.plugin().wait_exit(kPatience));
  CHECK(site.host().stats().is_all_free());
}

TEST_CASE("death: a stopped process is not dead") {
  Site site(Where::two_processes, {"echo"});
  REQUIRE(site.round_trip(100) == "the same");
  stop(site.plugin());
  must(site.channel().send(bytes_of("while stopped")));
  CHECK(outcome(site.channel().receive(100ms)) == "timed_out");
  CHECK(site.plugin().is_alive());
  must(site.plugin().kill(SIGCONT));
  CHECK(must(site.channel().receive(kPatience)).text() == "while stopped");
}

TEST_CASE("death: a stopped process that is killed is dead") {
  Site site(Where::two_processes, {"echo"});
  REQUIRE(site.round_trip(100) == "the same");
  stop(site.plugin());
  CHECK(killed_during(site, 10ms, [&] { return outcome(site.channel().receive(mews::forever)); }) ==
        "peer_died");
}

TEST_CASE("death: a zombie is dead") {
  const auto address = "@" + unique_name("mews-test-zombie");
  auto host = must(mews::Session::create());
  must(host.listen(address));
  // The shell starts the plugin and turns into a program that never asks how it ended.
  const auto script = "\"$0\" \"$@\" & exec sleep 600";
  Words arguments{"sh", "-c", script};
  for (const auto& word : command({"socket", address, "echo"}))
    arguments.push_back(word);
  const auto parent =
      must(mews::os::spawn({.arguments = arguments, .environment = {}, .inherited_fds = {}}));
  auto plugin = must(host.admit(kPatience));
  must(plugin.kill(SIGKILL));
  CHECK(outcome(plugin.channel().receive(kPatience)) == "peer_died");
  CHECK(must(plugin.wait_exit(kPatience)).number == -1);
  CHECK(state_of(plugin.pid()) == 'Z');
  must(mews::os::send_signal(parent.pidfd.get(), SIGKILL));
  CHECK(mews::os::wait_for_exit(parent.pidfd.get(), kPatience));
  CHECK(mews::os::reap(parent.pidfd.get()));
}

TEST_CASE("death: a forked child cannot write the arena, and does not hide its parent's death") {
  Site site(Where::two_processes, {"fork"});
  CHECK(must(site.channel().receive(kPatience)).text() == "signal 11");
  const auto heir = std::stoi(std::string(must(site.channel().receive(kPatience)).text()));
  CHECK(outcome(site.channel().receive(kPatience)) == "peer_died");
  const auto exit = must(site.plugin().wait_exit(kPatience));
  CHECK((exit.is_signal && exit.number == SIGKILL));
  CHECK(site.host().stats().is_all_free());
  // It has the plugin's descriptors still.
  CHECK(::kill(heir, SIGKILL) == 0);
}

TEST_CASE("death: a program that cannot be started is an error with path and errno") {
  auto host = must(mews::Session::create());
  const auto missing = host.spawn("missing", {"/nonexistent/plugin"});
  REQUIRE(outcome(missing) == "spawn_failed");
  CHECK(missing.error().os_errno() == ENOENT);
  CHECK_THAT(missing.error().message(), Catch::Matchers::ContainsSubstring("/nonexistent/plugin"));
  CHECK(host.spawn("directory", {"/tmp"}).error().os_errno() == EACCES);
  CHECK(outcome(host.spawn("none", {})) == "invalid_argument");
  CHECK(outcome(host.spawn("a b", command({"echo"}))) == "invalid_argument");
  // No seat is lost by it.
  for (int i = 0; i < 100; ++i)
    REQUIRE(outcome(host.spawn("x", {"/nonexistent"})) == "spawn_failed");
  CHECK(outcome(host.connect("next")) == "ok");
}

TEST_CASE("death: a plugin that exits before it attaches is noticed") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("early", command({"exit_unattached"})));
  const auto sent = plugin.channel().send(bytes_of("into the void"));
  CHECK((outcome(sent) == "ok" || outcome(sent) == "peer_died"));
  CHECK(outcome(plugin.channel().receive(mews::forever)) == "peer_died");
  const auto exit = must(plugin.wait_exit(kPatience));
  CHECK((!exit.is_signal && exit.number == 3));
  CHECK(exit.description == "early: exit code 3, without having attached");
  CHECK(host.stats().is_all_free());
}

TEST_CASE("death: the others notice nothing") {
  Site bystander(Where::two_processes, {"echo"});
  for (int i = 0; i < 10; ++i) {
    auto victim = must(bystander.host().spawn("victim", command({"burst", "20", "1000"})));
    CHECK(bystander.round_trip(70'000) == "the same");
    CHECK(receive_stream(victim.channel(), 20, 1000).empty());
    CHECK(outcome(victim.channel().receive(kPatience)) == "peer_died");
    CHECK(bystander.round_trip(100) == "the same");
  }
}
