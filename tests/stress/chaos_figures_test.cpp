// SPDX-License-Identifier: MIT
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "mews/mews.hpp"
#include "stress/chaos_times.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// A host with seventeen plugins: how long it takes to take one back, and what they do when there is
// nothing to do.
namespace {

using namespace mews_test;
using Clock = std::chrono::steady_clock;

constexpr int kOthers = 16;
constexpr std::chrono::seconds kStuck{60};

bool is_long_run() {
  const char* is_long = std::getenv("MEWS_LONG");
  return is_long != nullptr && *is_long != '\0';
}

mews::Plugin spawn(mews::Session& host, const std::string& name, const char* what,
                   const char* number = "0", mews::PluginOptions options = {}) {
  return value_or_throw(
      host.spawn(name, {MEWS_TEST_BIN_DIR "/chaos_child", what, number}, std::move(options)));
}

std::vector<mews::Plugin> spawn_many(mews::Session& host, int count, const char* what) {
  std::vector<mews::Plugin> plugins;
  for (int i = 0; i < count; ++i) {
    plugins.push_back(spawn(host, "other-" + std::to_string(i), what));
  }
  const mews::Deadline deadline(kStuck);
  while (host.stats().plugins < static_cast<unsigned>(count) && !deadline.has_passed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return plugins;
}

/// Kills a plugin that holds ten thousand slabs, again and again, beside sixteen others. The bytes
/// in the arena after two rounds, and at the end.
std::array<std::uint64_t, 2> kill_holders(const char* others, int rounds,
                                          const std::string& title) {
  Times times;
  std::uint64_t early_bytes = 0;
  auto host = value_or_throw(mews::Session::create({.name = "figures"}));
  const auto plugins = spawn_many(host, kOthers, others);
  for (int round = 0; round < rounds; ++round) {
    std::atomic<Clock::rep> gone{0};
    mews::PluginOptions options;
    options.on_exit = [&](const auto&) { gone = Clock::now().time_since_epoch().count(); };
    auto victim = spawn(host, "victim", "hold", "10000", std::move(options));
    REQUIRE(victim.channel().receive(kStuck));
    const auto began = Clock::now();
    REQUIRE(victim.kill(SIGKILL));
    REQUIRE_FALSE(victim.channel().receive(kStuck));
    REQUIRE(victim.wait_exit(kStuck));
    for (const auto& holder : host.stats().holders)
      REQUIRE(holder.name != "victim");
    // The callback follows the exit that has just been seen.
    const mews::Deadline deadline(kStuck);
    while (gone == 0 && !deadline.has_passed())
      std::this_thread::yield();
    REQUIRE(gone != 0);
    times.add(Clock::time_point(Clock::duration(gone.load())) - began);
    if (round == 1) early_bytes = host.stats().arena_resident_bytes;
  }
  times.print(title.c_str());
  const auto late_bytes = host.stats().arena_resident_bytes;
  host.shutdown(kStuck);
  CHECK(host.stats().is_all_free());
  return {early_bytes, late_bytes};
}

/// Per task of a process: how often it has gone to sleep. Whoever makes a system call has woken up
/// first, and goes to sleep again.
std::map<std::string, std::uint64_t> sleeps_of(pid_t pid) {
  std::map<std::string, std::uint64_t> sleeps;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      constexpr std::string_view kName = "voluntary_ctxt_switches:";
      if (line.starts_with(kName)) {
        sleeps[task.path().filename()] = std::stoull(line.substr(kName.size()));
      }
    }
  }
  return sleeps;
}

/// Of all plugins, and of the host all threads but the one that runs this test.
std::map<std::string, std::uint64_t> sleeps_of_all(const std::vector<mews::Plugin>& plugins) {
  auto sleeps = sleeps_of(::getpid());
  sleeps.erase(std::to_string(::gettid()));
  for (const auto& plugin : plugins)
    sleeps.merge(sleeps_of(plugin.pid()));
  return sleeps;
}

/// The same once nobody has woken up for a while; patience with those that never rest ends.
std::map<std::string, std::uint64_t> sleeps_when_quiet(const std::vector<mews::Plugin>& plugins) {
  const mews::Deadline deadline(kStuck);
  auto before = sleeps_of_all(plugins);
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    auto now = sleeps_of_all(plugins);
    if (now == before || deadline.has_passed()) return now;
    before = std::move(now);
  }
}

/// System calls that strace sees of these tasks; nothing when it is not there or not permitted.
std::optional<std::uint64_t> calls_seen(const std::map<std::string, std::uint64_t>& tasks,
                                        int seconds) {
  const auto file =
      std::filesystem::temp_directory_path() / ("mews-idle-" + std::to_string(::getpid()));
  std::string command =
      "timeout -s INT " + std::to_string(seconds) + " strace -c -o " + file.string();
  for (const auto& [task, sleeps] : tasks)
    command += " -p " + task;
  command += " >/dev/null 2>&1";
  const int status = std::system(command.c_str());
  // Left to itself it goes on for ever: whoever ends earlier was not let in.
  constexpr int kEndedByTimeout = 124;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != kEndedByTimeout) return std::nullopt;
  std::ifstream report(file);
  std::uint64_t calls = 0;
  for (std::string line; std::getline(report, line);) {
    std::istringstream row(line);
    double share = 0;
    double time = 0;
    std::uint64_t each = 0;
    std::uint64_t count = 0;
    if (line.find("total") == std::string::npos && row >> share >> time >> each >> count) {
      std::printf("idle: strace: %s\n", line.c_str());
      calls += count;
    }
  }
  std::filesystem::remove(file);
  return calls;
}

}  // namespace

TEST_CASE("chaos: a plugin that dies with ten thousand slabs is taken back whole") {
  const int rounds = is_long_run() ? 1000 : kIsSanitized ? 40 : 200;
  const auto [early, late] =
      kill_holders("idle", rounds, "17 plugins, 10,000 slabs held: from kill to fully taken back");
  // Each takes what its predecessor left, and no more: ten thousand slabs are ten megabytes.
  std::printf("figures: %llu KiB in the arena after two rounds, %llu KiB at the end\n",
              static_cast<unsigned long long>(early >> 10),
              static_cast<unsigned long long>(late >> 10));
  CHECK(late <= early + (1u << 20));
}

TEST_CASE("chaos: a plugin that dies while sixteen others are busy is taken back whole") {
  const int rounds = is_long_run() ? 500 : kIsSanitized ? 10 : 100;
  (void)kill_holders("busy", rounds, "the same while the 16 others work");
}

TEST_CASE("chaos: a host that does not wait and seventeen plugins at rest make no system call") {
  const int seconds = kIsSanitized ? 3 : 10;
  auto host = value_or_throw(mews::Session::create({.name = "rest"}));
  auto plugins = spawn_many(host, kOthers + 1, "idle");
  const auto before = sleeps_when_quiet(plugins);
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  // A sanitizer has threads of its own.
  if (!kIsSanitized) CHECK(before == sleeps_of_all(plugins));
  std::printf("idle: %zu tasks slept through %d s\n", before.size(), seconds);
  const auto calls = kIsSanitized ? std::nullopt : calls_seen(before, seconds);
  if (calls) {
    std::printf("idle: %llu system calls of %zu tasks in %d s, by strace\n",
                static_cast<unsigned long long>(*calls), before.size(), seconds);
    CHECK(*calls == 0);
  } else {
    std::printf("idle: strace is not here, or may not look, or would see a sanitizer\n");
  }
}

TEST_CASE("chaos: a host's thread that waits looks again once a second, and nobody else wakes") {
  const int seconds = kIsSanitized ? 3 : 10;
  auto host = value_or_throw(mews::Session::create({.name = "waits"}));
  auto plugins = spawn_many(host, kOthers + 1, "idle");
  auto& channel = plugins[0].channel();
  mews::Result<mews::Message> received;
  std::atomic<pid_t> waiting{0};
  std::thread receiver([&] {
    waiting = ::gettid();
    received = channel.receive(mews::forever);
  });
  while (waiting == 0)
    std::this_thread::yield();
  const auto waiter = std::to_string(waiting.load());
  const auto others = [&] {
    auto sleeps = sleeps_of_all(plugins);
    sleeps.erase(waiter);
    return sleeps;
  };
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const auto before = others();
  const auto waiter_before = sleeps_of(::getpid())[waiter];
  const auto began = Clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const auto looks = sleeps_of(::getpid())[waiter] - waiter_before;
  const auto passed = std::chrono::ceil<std::chrono::seconds>(Clock::now() - began).count();
  std::printf("idle: a waiting thread of the host looked %llu times in %lld s\n",
              static_cast<unsigned long long>(looks), static_cast<long long>(passed));
  if (!kIsSanitized) {
    CHECK(looks <= static_cast<std::uint64_t>(passed) + 1);
    CHECK(before == others());
  }
  CHECK(channel.close());
  receiver.join();
  REQUIRE_FALSE(received);
  CHECK(received.error().code() == mews::ErrorCode::closed);
}
