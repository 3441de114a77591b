// SPDX-License-Identifier: MIT
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
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
constexpr std::chrono::seconds kStuck{20};

bool is_long_run() {
  const char* is_long = std::getenv("MEWS_LONG");
  return is_long != nullptr && *is_long != '\0';
}

mews::Plugin spawn(mews::Session& host, const std::string& name, const char* what,
                   const char* number = "0", mews::PluginOptions options = {}) {
  return value_or_throw(
      host.spawn(name, {MEWS_TEST_BIN_DIR "/chaos_child", what, number}, std::move(options)));
}

std::vector<mews::Plugin> spawn_idle(mews::Session& host, int count) {
  std::vector<mews::Plugin> plugins;
  for (int i = 0; i < count; ++i) {
    plugins.push_back(spawn(host, "idle-" + std::to_string(i), "idle"));
  }
  const mews::Deadline deadline(kStuck);
  while (host.stats().plugins < static_cast<unsigned>(count) && !deadline.has_passed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return plugins;
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
  Times times;
  auto host = value_or_throw(mews::Session::create({.name = "figures"}));
  const auto others = spawn_idle(host, kOthers);
  for (int round = 0; round < (is_long_run() ? 500 : 40); ++round) {
    std::atomic<Clock::rep> gone{0};
    mews::PluginOptions options;
    options.on_exit = [&](const auto&) { gone = Clock::now().time_since_epoch().count(); };
    auto victim = spawn(host, "victim", "hold", "10000", std::move(options));
    REQUIRE(victim.channel().receive(kStuck));
    const auto began = Clock::now();
    REQUIRE(victim.kill(SIGKILL));
    const auto end = victim.channel().receive(kStuck);
    REQUIRE(!end);
    REQUIRE(victim.wait_exit(kStuck));
    REQUIRE(host.stats().is_all_free());
    // The callback follows the exit that has just been seen.
    const mews::Deadline deadline(kStuck);
    while (gone == 0 && !deadline.has_passed())
      std::this_thread::yield();
    times.add(Clock::time_point(Clock::duration(gone.load())) - began);
  }
  times.print("17 plugins, 10,000 slabs held: from kill to fully taken back");
}

TEST_CASE("chaos: a host and seventeen plugins at rest make no system call") {
  const int seconds = is_long_run() ? 10 : 2;
  auto host = value_or_throw(mews::Session::create({.name = "rest"}));
  const auto plugins = spawn_idle(host, kOthers + 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // until they sleep
  const auto before = sleeps_of_all(plugins);
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  if (!kIsSanitized) CHECK(before == sleeps_of_all(plugins));  // a sanitizer has threads of its own
  std::printf("idle: %zu tasks slept through %d s\n", before.size(), seconds);
  if (const auto calls = calls_seen(before, seconds)) {
    std::printf("idle: %llu system calls of %zu tasks in %d s, by strace\n",
                static_cast<unsigned long long>(*calls), before.size(), seconds);
  } else {
    std::printf("idle: strace is not here, or may not look\n");
  }
}
