// SPDX-License-Identifier: MIT
#include <signal.h>
#include <unistd.h>

#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "mews/os/process.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

Words leaver(const Words& words) {
  Words command{MEWS_TEST_BIN_DIR "/leaver_plugin"};
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

mews::os::Child start(const Words& words) {
  return must(
      mews::os::spawn({.arguments = leaver(words), .environment = {}, .inherited_fds = {}}));
}

mews::CreateOptions narrow(std::uint32_t max_plugins) {
  auto options = small_arena();
  options.max_plugins = max_plugins;
  return options;
}

/// A plugin that has all slabs of 1 MiB, and has been told to go on.
mews::Plugin spawn_with_slabs(mews::Session& host, const std::string& what) {
  auto plugin = must(host.spawn("fonts", leaver({what})));
  must(plugin.channel().receive(kPatience));
  must(plugin.channel().send(bytes_of("go on")));
  return plugin;
}

}  // namespace

TEST_CASE("parting: one process may join and leave 200 times where two plugins fit") {
  auto host = must(mews::Session::create(narrow(2)));
  const auto address = "@" + unique_name("mews-test-parting");
  must(host.listen(address));
  const auto child = start({"rounds", address, "200"});
  for (int left = 200; left > 0; --left) {
    auto plugin = must(host.admit(kPatience));
    REQUIRE(must(plugin.channel().receive(kPatience)).text() == std::to_string(left));
    REQUIRE(outcome(plugin.channel().receive(kPatience)) == "closed");
  }
  REQUIRE(mews::os::wait_for_exit(child.pidfd.get(), kPatience));
  CHECK(mews::os::reap(child.pidfd.get())->describe() == "exit code 0");
  CHECK(eventually([&] { return host.stats().plugins == 0; }));
}

TEST_CASE(
    "parting: of a process that was admitted and has left, its handle says so while it lives") {
  auto host = must(mews::Session::create(narrow(1)));
  const auto address = "@" + unique_name("mews-test-parting");
  must(host.listen(address));
  const auto child = start({"rounds", address, "2"});
  auto plugin = must(host.admit(kPatience));
  const auto exit = must(plugin.wait_exit(kPatience));
  CHECK_THAT(exit.description, ContainsSubstring("leaver: left"));
  CHECK((exit.number == -1 && !exit.is_signal && !plugin.is_alive()));
  // It lives: its next session waits for us.
  CHECK_FALSE(mews::os::wait_for_exit(child.pidfd.get(), 0s));
  auto next = must(host.admit(kPatience));
  CHECK(must(next.channel().receive(kPatience)).text() == "1");
}

TEST_CASE("parting: a child that has left frees its seat at once, and is still waited for") {
  auto host = must(mews::Session::create(narrow(1)));
  auto plugin = must(host.spawn("stays", leaver({"stay"})));
  must(plugin.channel().receive(kPatience));
  CHECK(outcome(host.connect("next")) == "too_many_peers");
  must(plugin.channel().send(bytes_of("go on")));
  CHECK(outcome(plugin.channel().receive(kPatience)) == "closed");
  CHECK(eventually([&] { return host.connect("next").has_value(); }));
  CHECK((plugin.is_alive() && !plugin.exit()));
  must(plugin.kill(SIGKILL));
  const auto exit = must(plugin.wait_exit(kPatience));
  CHECK((exit.is_signal && exit.number == SIGKILL));
}

TEST_CASE("parting: a plugin that replaces itself by exec is over, and its memory free, at once") {
  auto host = must(mews::Session::create(narrow(2)));
  auto plugin = spawn_with_slabs(host, "exec");
  const auto end = plugin.channel().receive(kPatience);
  REQUIRE(outcome(end) == "peer_died");
  CHECK_THAT(end.error().message(), ContainsSubstring("fonts: replaced itself by exec"));
  CHECK(eventually([&] { return host.stats().is_all_free(); }));
  CHECK(outcome(plugin.channel().loan(1 << 20)) == "ok");
  CHECK(plugin.is_alive());
  must(plugin.kill(SIGKILL));
  CHECK(must(plugin.wait_exit(kPatience)).number == SIGKILL);
}

TEST_CASE(
    "parting: the memory of a plugin that only closed its descriptors comes back at its death") {
  auto host = must(mews::Session::create(narrow(2)));
  auto plugin = spawn_with_slabs(host, "close");
  const auto end = plugin.channel().receive(kPatience);
  REQUIRE(outcome(end) == "peer_died");
  CHECK_THAT(end.error().message(), ContainsSubstring("closed its end"));
  CHECK(outcome(plugin.channel().try_loan(1 << 20)) == "no_slab");
  must(plugin.kill(SIGKILL));
  must(plugin.wait_exit(kPatience));
  CHECK(host.stats().is_all_free());
}

TEST_CASE("parting: a forked child of a plugin's keeps neither its seat nor its memory") {
  auto host = must(mews::Session::create(narrow(1)));
  auto plugin = spawn_with_slabs(host, "fork");
  CHECK(outcome(plugin.channel().receive(kPatience)) == "closed");
  CHECK(eventually([&] { return host.connect("next").has_value(); }));
  CHECK(plugin.is_alive());
}

TEST_CASE("parting: a host that replaces itself by exec is dead to its plugin") {
  auto pipe = os_test::make_pipe();
  os_test::Fork child([&] {
    auto host = must(mews::Session::create(small_arena()));
    mews::PluginOptions outlives;
    outlives.process.inherited_fds = {pipe.writer.get()};
    outlives.process.parent_death_signal = 0;
    auto plugin = must(host.spawn(
        "orphan", command({"outlive", "receive", std::to_string(pipe.writer.get())}), outlives));
    must(plugin.channel().receive(kPatience));  // it is ready
    ::execl(MEWS_TEST_BIN_DIR "/leaver_plugin", "leaver_plugin", "idle", nullptr);
    return 4;
  });
  pipe.writer.reset();
  CHECK(os_test::read_all(pipe.reader.get()) == "0 messages, then host_died");
  CHECK_FALSE(mews::os::wait_for_exit(child.pidfd(), 0s));
}

TEST_CASE("parting: sessions that leave a message behind take nothing once it is dropped") {
  const auto address_space = mews_test::address_space_kib();
  const auto descriptors = mews_test::descriptors_of_this_process();
  for (int round = 0; round < 100; ++round) {
    std::vector<mews::Message> kept;
    {
      auto host = must(mews::Session::create());
      auto [plugin, guest] = must(host.connect("guest"));
      for (auto* ends : {&plugin.channel(), &guest.channel()}) {
        auto& other = ends == &plugin.channel() ? guest.channel() : plugin.channel();
        auto loan = must(ends->loan(5'000));
        fill(loan.bytes(), 3);
        must(ends->send(std::move(loan)));
        kept.push_back(must(other.receive(kPatience)));
      }
    }
    for (const auto& message : kept)
      REQUIRE(is_filled(message.bytes(), 3));
    kept.clear();
    REQUIRE(mews_test::descriptors_of_this_process() == descriptors);
  }
  // Stacks and heap may stay; each arena is 5.5 GiB.
  CHECK(mews_test::address_space_kib() < address_space + (1u << 20));
}

TEST_CASE("parting: a plugin's sessions that leave a message behind take nothing in the end") {
  auto host = must(mews::Session::create(narrow(2)));
  const auto address = "@" + unique_name("mews-test-parting");
  must(host.listen(address));
  const auto child = start({"keep", address, "100"});
  for (int left = 100; left > 0; --left) {
    auto plugin = must(host.admit(kPatience));
    auto loan = must(plugin.channel().loan(5'000, kPatience));
    fill(loan.bytes(), 3);
    must(plugin.channel().send(std::move(loan)));
    REQUIRE(outcome(plugin.channel().receive(kPatience)) == "closed");
  }
  REQUIRE(mews::os::wait_for_exit(child.pidfd.get(), kPatience));
  CHECK(mews::os::reap(child.pidfd.get())->describe() == "exit code 0");
  CHECK(host.stats().is_all_free());
}
