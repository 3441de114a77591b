// SPDX-License-Identifier: MIT
// "future" and "current": an echo whose process locks all its memory, before and after it attaches.
// "dump DIRECTORY": one that takes a slab and aborts, with a core dump in that directory.
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "roles.hpp"

namespace {

using namespace process_test;

constexpr int kMayNotLock = 97;

int run(const Words& words) {
  if (words.at(0) == "future" && ::mlockall(MCL_FUTURE) != 0) return kMayNotLock;
  auto session = must(mews::Session::attach());
  auto& channel = session.channel();
  if (words[0] == "dump") {
    const rlimit any{RLIM_INFINITY, RLIM_INFINITY};
    if (::chdir(words.at(1).c_str()) != 0 || ::setrlimit(RLIMIT_CORE, &any) != 0) return 96;
    const auto loan = must(channel.loan(100'000));
    must(channel.send(bytes_of("ready")));
    static_cast<void>(channel.receive(mews::forever));
    ::signal(SIGABRT, SIG_DFL);
    std::abort();
  }
  // Once a slab of each kind is open.
  if (words[0] == "current") {
    auto message = must(channel.receive(kPatience));
    if (::mlockall(MCL_CURRENT) != 0) return kMayNotLock;
    must(channel.send(std::move(message).into_loan()));
  }
  return echo(channel);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(Words(argv + 1, argv + argc));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "resident_plugin: %s\n", failure.what());
    return 99;
  }
}
