// SPDX-License-Identifier: MIT
#include "support/idle_memory.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "mews/session.hpp"
#include "support/fail.hpp"

namespace mews::bench {
namespace {

using namespace std::chrono_literals;

constexpr const char* kIdlePlugin = "--idle-plugin";
constexpr const char* kIdleProcess = "--idle-process";

std::string own_path() {
  char path[4096];
  const auto length = ::readlink("/proc/self/exe", path, sizeof path);
  require(length > 0, "readlink /proc/self/exe");
  return {path, static_cast<std::size_t>(length)};
}

std::uint64_t proportional_bytes(pid_t pid) {
  std::string name = "/proc/";
  name.append(std::to_string(pid)).append("/smaps_rollup");
  std::ifstream file(name);
  for (std::string word; file >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "Pss:" && file >> kibibytes) return kibibytes * 1024;
  }
  fail("/proc/.../smaps_rollup has no Pss");
}

std::uint64_t sum_of(const std::vector<pid_t>& pids) {
  auto sum = proportional_bytes(::getpid());
  for (const auto pid : pids)
    sum += proportional_bytes(pid);
  return sum;
}

// The processes settle: they have started, faulted in what they need, and sleep.
std::uint64_t settled_sum_of(const std::vector<pid_t>& pids) {
  std::this_thread::sleep_for(500ms);
  return sum_of(pids);
}

std::uint64_t bytes_without_arena(unsigned processes) {
  std::vector<os::Child> children;
  std::vector<pid_t> pids;
  for (unsigned i = 0; i < processes; ++i) {
    os::SpawnOptions options;
    options.arguments = {own_path(), kIdleProcess};
    children.push_back(must(os::spawn(options)));
    pids.push_back(children.back().pid);
  }
  const auto sum = settled_sum_of(pids);
  for (const auto& child : children) {
    must_succeed(os::send_signal(child.pidfd.get(), SIGKILL));
    os::wait_for_exit(child.pidfd.get(), 5s);
    static_cast<void>(os::reap(child.pidfd.get()));
  }
  return sum;
}

}  // namespace

IdleMemory measure_idle_memory(unsigned plugins) {
  const auto without = bytes_without_arena(plugins);
  auto host = must(Session::create());
  std::vector<Plugin> handles;
  std::vector<pid_t> pids;
  for (unsigned i = 0; i < plugins; ++i) {
    std::string name = "plugin-";
    name.append(std::to_string(i));
    handles.push_back(must(host.spawn(name, {own_path(), kIdlePlugin})));
    pids.push_back(handles.back().pid());
  }
  const Deadline deadline = 10s;
  while (host.stats().plugins < plugins) {
    require(!deadline.has_passed(), "not all idle plugins attached");
    std::this_thread::sleep_for(5ms);
  }
  const auto with = settled_sum_of(pids);
  const IdleMemory memory{.arena_bytes = host.stats().arena_resident_bytes,
                          .added_bytes = with > without ? with - without : 0};
  host.shutdown(5s);
  return memory;
}

bool has_been_idle_process(std::string_view first_argument) {
  if (first_argument == kIdleProcess) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::pause();
    return true;
  }
  if (first_argument != kIdlePlugin) return false;
  auto session = must(Session::attach());
  // Ends when the host closes the channel.
  static_cast<void>(session.channel().receive(forever));
  return true;
}

}  // namespace mews::bench
