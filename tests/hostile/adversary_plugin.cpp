// SPDX-License-Identifier: MIT
// "work SALT": an honest plugin, which answers each request by as many bytes as that asks for.
// "scribble REGION SEED PAGE": takes its seat honestly and is told it by the first message; then
// its threads scribble until it is killed, while it answers as the other does, as far as it can.
#include <signal.h>

#include <cstdio>
#include <exception>
#include <thread>

#include "../support/arena_mapping.hpp"
#include "../support/shared_page.hpp"
#include "adversary_work.hpp"
#include "scribbler.hpp"

namespace {

using namespace hostile_test;

constexpr unsigned kThreads = 2;

/// The wake descriptors that it shares with its host: sockets and event counters.
std::vector<int> wake_descriptors() {
  std::vector<int> found;
  for (const auto& [fd, target] : mews_test::open_descriptors()) {
    if (target.starts_with("socket:") || target.find("eventfd") != std::string::npos) {
      found.push_back(fd);
    }
  }
  return found;
}

[[noreturn]] void scribble(const Words& words) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto& region = words.at(1);
  const auto seed = std::stoull(words.at(2));
  const mews_test::SharedPage<Scribbles> page(words.at(3).c_str());
  const RawArena arena("adversary");  // while the arena's descriptor is there
  auto session = must(mews::Session::attach());
  const auto told = must(session.channel().receive(kPatience));
  const auto self = static_cast<std::uint32_t>(std::stoul(std::string(told.text())));
  for (unsigned i = 0; i < kThreads; ++i) {
    std::thread([&arena, &page, self, region, seed = seed + i] {
      Scribbler scribbler(arena, self, wake_descriptors(), seed);
      Random random(seed);
      for (;;) {
        for (auto left = random() % 400; left > 0; --left)
          scribbler.scribble(region);
        ++page->bursts;
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
      }
    }).detach();
  }
  for (;;) {
    static_cast<void>(work(session.channel(), seed));
    std::this_thread::sleep_for(1ms);
  }
}

int run(const Words& words) {
  if (words.at(0) == "scribble") scribble(words);
  auto session = must(mews::Session::attach());
  return work(session.channel(), std::stoull(words.at(1)));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(Words(argv + 1, argv + argc));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "adversary_plugin: %s\n", failure.what());
    return 99;
  }
}
