// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "mews/sync/turn.hpp"

namespace {

using mews::sync::Turn;
using mews::sync::Turned;

constexpr std::chrono::seconds kPatience{60};
constexpr auto kNever = [] { return false; };

}  // namespace

TEST_CASE("turn: it is one thread's at a time, and each gets it") {
  Turn turn;
  std::uint64_t count = 0;  // guarded by the turn
  constexpr int kThreads = 4;
  const std::uint64_t each = mews_test::scaled(20'000);
  std::atomic<std::uint64_t> failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t n = 0; n < each; ++n) {
        if (turn.enter(kPatience, kNever) != Turned::entered) {
          ++failures;
          continue;
        }
        ++count;
        turn.leave();
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  CHECK(failures == 0);
  CHECK(count == kThreads * each);
}

TEST_CASE("turn: a deadline ends the wait for it, and it can be had later") {
  Turn turn;
  REQUIRE(turn.enter(mews::forever, kNever) == Turned::entered);
  CHECK(turn.enter(std::chrono::seconds(0), kNever) == Turned::late);
  CHECK(turn.enter(std::chrono::milliseconds(1), kNever) == Turned::late);
  turn.leave();
  CHECK(turn.enter(std::chrono::seconds(0), kNever) == Turned::entered);
}

TEST_CASE("turn: whoever is cancelled still gets a turn that is nobody's") {
  Turn turn;
  constexpr auto kCancelled = [] { return true; };
  CHECK(turn.enter(kPatience, kCancelled) == Turned::entered);
  CHECK(turn.enter(kPatience, kCancelled) == Turned::cancelled);
}

TEST_CASE("turn: an interrupt ends the wait of whoever wants to leave, and of nobody else") {
  Turn turn;
  REQUIRE(turn.enter(mews::forever, kNever) == Turned::entered);
  std::atomic<bool> wants_to_leave{false};
  Turned leaver{};
  Turned stayer{};
  std::thread leaving(
      [&] { leaver = turn.enter(mews::forever, [&] { return wants_to_leave.load(); }); });
  std::thread staying([&] { stayer = turn.enter(mews::forever, kNever); });
  turn.interrupt();
  wants_to_leave = true;
  turn.interrupt();
  leaving.join();
  CHECK(leaver == Turned::cancelled);
  turn.leave();
  staying.join();
  CHECK(stayer == Turned::entered);
}
