// SPDX-License-Identifier: MIT
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "exit_log.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

void crash(mews::Plugin& plugin, const std::string& how) {
  must(plugin.channel().send(bytes_of(how)));
  must(plugin.wait_exit(kPatience));
}

}  // namespace

TEST_CASE("restart: the next process gets the environment of the first start") {
  const os_test::TempDir directory;
  const auto written = [&] {
    std::ifstream file(directory.file("a"));
    return std::string((std::istreambuf_iterator<char>(file)), {});
  };
  mews::PluginOptions options;
  options.restart = mews::Restart::on_crash;
  auto host = must(mews::Session::create());
  ::setenv("MEWS_TEST_WEATHER", "sun", 1);
  auto plugin = must(host.spawn(
      "reporter",
      {"sh", "-c", "echo $MEWS_TEST_WEATHER >> " + directory.file("a") + "; exec sleep 600"},
      options));
  REQUIRE(eventually([&] { return written() == "sun\n"; }));
  ::setenv("MEWS_TEST_WEATHER", "rain", 1);
  must(plugin.kill(SIGKILL));
  must(plugin.renew(kPatience));
  CHECK(eventually([&] { return written() == "sun\nsun\n"; }));
  ::unsetenv("MEWS_TEST_WEATHER");
}

TEST_CASE(
    "restart: a crashed plugin comes again under its name, and the callback says how it died") {
  ExitLog log;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", command({"crash_on_request"}), on_crash(log)));
  const auto first = plugin.pid();
  crash(plugin, "x");
  CHECK(outcome(plugin.channel().receive(kPatience)) == "peer_died");
  CHECK_FALSE(plugin.is_alive());
  must(plugin.renew(kPatience));
  CHECK(plugin.is_alive());
  CHECK(plugin.pid() != first);
  CHECK(plugin.name() == "fonts");
  crash(plugin, "s");
  must(plugin.renew(kPatience));
  must(plugin.channel().send(bytes_of("good night")));
  const auto last = must(plugin.wait_exit(kPatience));
  CHECK((!last.is_signal && last.number == 0 && !last.will_restart));
  CHECK(outcome(plugin.renew(kPatience)) == "peer_died");

  const auto lines = log.lines(3);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "fonts: exit code 7, restart at once");
  CHECK_THAT(lines[1], ContainsSubstring("fonts: signal 11 (Segmentation fault), restart "));
  CHECK(lines[2] == "fonts: exit code 0");
}

TEST_CASE("restart: one that keeps dying waits twice as long each time") {
  ExitLog log;
  auto options = on_crash(log);
  options.restart_delay = 2ms;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("flaky", command({"exit", "5"}), options));
  const auto lines = log.lines(4);
  REQUIRE(lines.size() >= 4);
  CHECK(lines[0] == "flaky: exit code 5, restart in 2 ms");
  CHECK(lines[1] == "flaky: exit code 5, restart in 10 ms");
  CHECK(lines[2] == "flaky: exit code 5, restart in 20 ms");
  CHECK(lines[3] == "flaky: exit code 5, restart in 40 ms");
  CHECK(must(host.shutdown(kPatience)).is_clean());
  CHECK(host.stats().is_all_free());
}

TEST_CASE("restart: no wait is longer than the limit") {
  ExitLog log;
  auto options = on_crash(log);
  options.restart_delay = options.restart_delay_limit = 3ms;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("flaky", command({"exit", "5"}), options));
  const auto lines = log.lines(4);
  REQUIRE(lines.size() >= 4);
  for (const auto& line : lines)
    CHECK(line == "flaky: exit code 5, restart in 3 ms");
}

TEST_CASE(
    "restart: where SIGCHLD is ignored nobody knows how a plugin ended, and none comes again") {
  const std::string last_words = GENERATE("good night", "x");
  ExitLog log;
  auto host = must(mews::Session::create());
  const auto before = ::signal(SIGCHLD, SIG_IGN);
  auto plugin = must(host.spawn("fonts", command({"crash_on_request"}), on_crash(log)));
  must(plugin.channel().send(bytes_of(last_words)));
  const auto exit = must(plugin.wait_exit(kPatience));
  ::signal(SIGCHLD, before);
  CHECK((!exit.is_signal && exit.number == -1 && !exit.will_restart));
  CHECK(outcome(plugin.renew(kPatience)) == "peer_died");
  const auto lines = log.lines(1);
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], ContainsSubstring("fonts: gone") && ContainsSubstring("not known"));
}

TEST_CASE("restart: without it a dead plugin stays dead, and its name can be spawned at once") {
  ExitLog log;
  mews::PluginOptions options;
  options.on_exit = log.callback();
  auto host = must(mews::Session::create());
  for (std::size_t i = 1; i <= 5; ++i) {
    auto plugin = must(host.spawn("again", command({"crash_on_request"}), options));
    crash(plugin, "x");
    CHECK(outcome(plugin.renew(kPatience)) == "peer_died");
    CHECK(log.lines(i).size() == i);
  }
  CHECK(log.lines(5).back() == "again: exit code 7");
}

TEST_CASE("restart: a hundred crashes leave nothing behind") {
  ExitLog log;
  auto host = must(mews::Session::create(small_arena()));
  auto options = on_crash(log);
  options.restart_delay_limit = 0ms;
  options.restart_limit = mews::kUnlimitedRestarts;
  auto plugin = must(host.spawn("fonts", command({"burst", "5", "1000"}), options));
  for (int i = 0; i < 100; ++i) {
    REQUIRE(receive_stream(plugin.channel(), 5, 1000).empty());
    REQUIRE(outcome(plugin.channel().receive(kPatience)) == "peer_died");
    must(plugin.wait_exit(kPatience));
    must(plugin.renew(kPatience));
  }
  must(plugin.stop(0ms));
  plugin = must(host.connect("last")).first;
  CHECK(eventually([&] { return host.stats().is_all_free(); }));
}

TEST_CASE("restart: one that cannot be started again is an error with path and errno") {
  const auto delay = GENERATE(0ms, 2ms, -5000ms);  // below zero counts as zero
  const os_test::TempDir directory;
  const auto program = directory.file("a");
  std::filesystem::copy_file(MEWS_TEST_BIN_DIR "/role_plugin", program);
  ExitLog log;
  auto options = on_crash(log);
  options.restart_delay = delay;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {program, "crash_on_request"}, options));
  REQUIRE(::unlink(program.c_str()) == 0);
  crash(plugin, "x");
  for (int i = 0; i < 2; ++i) {
    const auto renewed = plugin.renew(kPatience);
    REQUIRE(outcome(renewed) == "spawn_failed");
    CHECK(renewed.error().os_errno() == ENOENT);
    CHECK_THAT(renewed.error().message(), ContainsSubstring(program));
  }
  CHECK(must(plugin.wait_exit(kPatience)).number == 7);
  const auto lines = log.lines(2);
  REQUIRE(lines.size() == 2);
  CHECK_THAT(lines[0], ContainsSubstring("fonts: exit code 7, restart "));
  CHECK_THAT(lines[1], ContainsSubstring("fonts: no restart: ") && ContainsSubstring(program));
  CHECK(outcome(host.spawn("fonts", command({"echo"}))) == "ok");
}

TEST_CASE("shutdown: the polite exit by themselves, and what they had is taken back") {
  ExitLog log;
  mews::PluginOptions options;
  options.on_exit = log.callback();
  auto host = must(mews::Session::create());
  auto polite = must(host.spawn("polite", command({"echo"}), options));
  must(polite.channel().send(bytes_of("x")));
  must(polite.channel().receive(kPatience));
  CHECK(must(host.shutdown(kPatience)).is_clean());
  CHECK(polite.exit()->description == "polite: exit code 0");
  CHECK(log.lines(1).size() == 1);
  CHECK(host.stats().is_all_free());
  CHECK(must(host.shutdown(kPatience)).is_clean());
}

TEST_CASE(
    "shutdown: the impolite get SIGTERM at the deadline, the deaf get SIGKILL, and are named") {
  ExitLog log;
  mews::PluginOptions options;
  options.on_exit = log.callback();
  auto host = must(mews::Session::create());
  auto mute = must(host.spawn("mute", command({"mute"}), options));
  auto deaf = must(host.spawn("deaf", command({"deaf"}), options));
  must(mute.channel().receive(kPatience));
  must(deaf.channel().receive(kPatience));
  CHECK(must(host.shutdown(20ms)).killed == std::vector<std::string>{"deaf"});
  CHECK(mute.exit()->description == "mute: signal 15 (Terminated)");
  CHECK(deaf.exit()->description == "deaf: signal 9 (Killed)");
  CHECK(log.lines(2).size() == 2);
  CHECK(host.stats().is_all_free());
  CHECK(must(host.shutdown(kPatience)).is_clean());
}

TEST_CASE("shutdown: a plugin that is to be restarted is not restarted any more") {
  ExitLog log;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("mute", command({"mute"}), on_crash(log)));
  must(plugin.channel().receive(kPatience));
  CHECK(must(host.shutdown(0ms)).is_clean());
  CHECK(plugin.exit()->description == "mute: signal 15 (Terminated)");
  CHECK(outcome(plugin.renew(kPatience)) == "closed");
}
