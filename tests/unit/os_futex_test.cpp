// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <new>
#include <thread>

#include "../support/catch.hpp"
#include "mews/os/futex.hpp"
#include "mews/os/mapping.hpp"
#include "os_support.hpp"

using mews::os::futex_wait;
using mews::os::futex_wake;
using mews::os::FutexWait;
using namespace std::chrono_literals;
using Word = mews::base::Atomic<std::uint32_t>;

namespace {

constexpr std::uint64_t kBytes = 4096;
constexpr std::uint32_t kRounds = 2000;

struct Table {
  Word ball{0};
};

/// Waits for the ball to show `wanted`, then plays it on; false when nobody played.
bool play(Word& ball, std::uint32_t wanted) {
  for (;;) {
    const auto seen = ball.load(std::memory_order_acquire);  // pairs with the release below
    if (seen == wanted) break;
    if (futex_wait(ball, seen, os_test::kPatience) == FutexWait::timed_out) return false;
  }
  ball.store(wanted + 1, std::memory_order_release);  // pairs with the acquire above
  futex_wake(ball, INT_MAX);
  return true;
}

bool play_all(Word& ball, std::uint32_t first) {
  for (std::uint32_t turn = first; turn < 2 * kRounds; turn += 2) {
    if (!play(ball, turn)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("os: a deadline in the past ends a futex wait at once, with what the word says") {
  const Word word{7};
  CHECK(futex_wait(word, 7, 0s) == FutexWait::timed_out);
  CHECK(futex_wait(word, 7, -1h) == FutexWait::timed_out);
  CHECK(futex_wait(word, 8, 0s) == FutexWait::changed);
}

TEST_CASE("os: a futex wait times out when nobody wakes it, and never early") {
  const Word word{7};
  const auto until = std::chrono::steady_clock::now() + 20ms;
  auto result = FutexWait::woken;
  while (result == FutexWait::woken)
    result = futex_wait(word, 7, until);
  CHECK(result == FutexWait::timed_out);
  CHECK(std::chrono::steady_clock::now() >= until);
}

TEST_CASE("os: a word that changed between the look and the sleep is not slept on") {
  const Word word{1};
  CHECK(futex_wait(word, 0, os_test::kPatience) == FutexWait::changed);
}

TEST_CASE("os: a wake-up that met no sleeper is not kept for the next one") {
  const Word word{0};
  // The kernel may wake for no reason now and then; a wake-up that was kept would show every time.
  auto result = FutexWait::woken;
  for (int i = 0; i < 10 && result == FutexWait::woken; ++i) {
    futex_wake(word, 1);
    futex_wake(word, INT_MAX);
    result = futex_wait(word, 0, 20ms);
  }
  CHECK(result == FutexWait::timed_out);
}

TEST_CASE("os: a signal does not lengthen a futex wait and reads as woken or timed out") {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};
  REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
  const Word word{0};
  std::atomic<bool> is_done{false};
  auto result = FutexWait::changed;
  std::thread sleeper([&] {
    result = futex_wait(word, 0, os_test::kPatience);
    is_done.store(true, std::memory_order_release);  // `result` before the flag
  });
  while (!is_done.load(std::memory_order_acquire)) {
    ::pthread_kill(sleeper.native_handle(), SIGUSR1);
    std::this_thread::sleep_for(1ms);
  }
  sleeper.join();
  ::sigaction(SIGUSR1, &before, nullptr);
  CHECK(result == FutexWait::woken);
}

TEST_CASE("os: threads that pass a word to and fro by futex lose no wake-up") {
  Table table;
  bool is_other_done = false;
  std::thread other([&] { is_other_done = play_all(table.ball, 1); });
  const bool is_done = play_all(table.ball, 0);
  other.join();
  CHECK(is_done);
  CHECK(is_other_done);
}

TEST_CASE("os: processes that map a word at different addresses wake each other") {
  const auto file = mews::os::MemoryFile::create_anonymous("futex", kBytes).value();
  const auto mapping = mews::os::Mapping::map(file, kBytes).value();
  auto* table = new (mapping.bytes().data()) Table;
  os_test::Fork child([&file] {
    // Takes the place of the parent's mapping, so that the two addresses differ.
    const auto pad = mews::os::Mapping::map(file, kBytes);
    const auto own = mews::os::Mapping::map(file, kBytes);
    if (!pad || !own) return 2;
    auto* mine = std::launder(reinterpret_cast<Table*>(own->bytes().data()));
    return play_all(mine->ball, 1) ? 0 : 1;
  });
  CHECK(play_all(table->ball, 0));
  CHECK(child.outcome() == "exit code 0");
}

#if defined(MEWS_STEPPED)
namespace {

struct RecordingModel final : mews::os::FutexModel {
  FutexWait wait(const Word&, std::uint32_t, mews::Deadline) override {
    ++waits;
    return FutexWait::woken;
  }
  int wake(const Word&, int) override { return ++wakes; }
  int waits = 0;
  int wakes = 0;
};

}  // namespace

TEST_CASE("os: a stepped build asks the futex model instead of the kernel") {
  RecordingModel model;
  mews::os::futex_model = &model;
  const Word word{0};
  const auto result = futex_wait(word, 0, 0s);
  const int woken = futex_wake(word, 1);
  mews::os::futex_model = nullptr;
  CHECK(result == FutexWait::woken);
  CHECK(model.waits == 1);
  CHECK(model.wakes == 1);
  CHECK(woken == 1);
}
#endif
