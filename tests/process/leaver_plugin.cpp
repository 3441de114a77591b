// SPDX-License-Identifier: MIT
// A plugin whose process and session do not end together. "rounds ADDRESS COUNT": joins and leaves
// so often; "stay": leaves when it is told to, and its process goes on; "exec", "close" and "fork":
// takes slabs, and then replaces itself, or closes its descriptors, or leaves a forked child
// behind; "keep ADDRESS COUNT": each session leaves a message behind, which is dropped after it;
// "idle".
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "../support/process_state.hpp"
#include "dying_roles.hpp"

namespace {

using namespace process_test;

mews::Session join(const std::string& address) {
  return must(mews::Session::attach({.socket = address, .as = "leaver", .timeout = kPatience}));
}

int rounds(const Words& words) {
  for (auto left = std::stoul(words.at(2)); left > 0; --left) {
    auto session = join(words.at(1));
    must(session.channel().send(bytes_of(std::to_string(left))));
  }
  return 0;
}

/// What a session takes up must come back with the last message, so that it stays the same.
int keep(const Words& words) {
  const auto before = mews_test::address_space_kib();
  std::uint64_t most = 0;
  for (auto left = std::stoul(words.at(2)); left > 0; --left) {
    std::optional<mews::Message> kept;
    {
      auto session = join(words.at(1));
      kept = must(session.channel().receive(kPatience));
    }
    if (!is_filled(kept->bytes(), 3)) return 4;
    kept.reset();
    most = std::max(most, mews_test::address_space_kib());
  }
  // One arena may be counted twice, while the thread of its watcher ends.
  return most < before + (1u << 17) ? 0 : 5;
}

int with_slabs(const std::string& what) {
  auto session = must(mews::Session::attach());
  auto& channel = session.channel();
  std::vector<mews::Loan> loans;
  while (auto loan = channel.try_loan(1 << 20))
    loans.push_back(std::move(*loan));
  must(channel.send(bytes_of("here")));
  must(channel.receive(kPatience));
  if (what == "exec") ::execl("/proc/self/exe", "leaver_plugin", "idle", nullptr);
  if (what == "close") ::syscall(SYS_close_range, 3u, ~0u, 0u);
  if (what == "fork") {
    if (::fork() == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      hang();
    }
    loans.clear();
    const auto ending = std::move(session);
  }
  hang();
}

int run(const Words& words) {
  const auto& role = words.at(0);
  if (role == "idle") hang();
  if (role == "rounds") return rounds(words);
  if (role == "keep") return keep(words);
  if (role != "stay") return with_slabs(role);
  {
    auto session = must(mews::Session::attach());
    must(session.channel().send(bytes_of("here")));
    must(session.channel().receive(kPatience));
  }
  hang();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(Words(argv + 1, argv + argc));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "leaver_plugin: %s\n", failure.what());
    return 99;
  }
}
