// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "../support/catch.hpp"
#include "../support/process_state.hpp"
#include "mews/sync/doorbell.hpp"

namespace {

using mews::os::FutexWait;
using mews::sync::Doorbell;
using mews::sync::RingFence;
using mews::sync::Sleeper;

struct Bell {
  mews::base::Atomic<std::uint32_t> word{0};
  Doorbell bell{word};
  [[nodiscard]] std::uint32_t value() const { return word.load(std::memory_order_relaxed); }
};

/// A thread that sleeps at a bell. It arms it first, so it makes no other call that sleeps.
class Asleep {
 public:
  explicit Asleep(const Doorbell& bell)
      : thread_([this, &bell] {
          const auto ticket = bell.arm(Sleeper::futex);
          id_ = ::gettid();
          result_ = bell.sleep(ticket, kPatience);
        }) {
    is_asleep_ = mews_test::is_seen_asleep(id_);
  }
  Asleep(const Asleep&) = delete;
  Asleep& operator=(const Asleep&) = delete;
  ~Asleep() {
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] bool was_asleep() const noexcept { return is_asleep_; }
  /// Whether it was woken, and not by the end of its patience.
  [[nodiscard]] bool is_woken() {
    thread_.join();
    return result_ == FutexWait::woken;
  }

 private:
  static constexpr std::chrono::seconds kPatience{20};

  std::atomic<pid_t> id_{0};
  bool is_asleep_ = false;
  FutexWait result_ = FutexWait::timed_out;
  std::thread thread_;
};

constexpr RingFence kFences[] = {RingFence::light, RingFence::full, RingFence::after_exchange};
constexpr std::chrono::seconds kPatience{60};

}  // namespace

TEST_CASE("doorbell: ringing where nobody waits changes nothing") {
  for (const auto fence : kFences) {
    Bell b;
    CHECK_FALSE(b.bell.ring(fence));
    CHECK(b.value() == 0);
  }
}

TEST_CASE("doorbell: a ring after arming keeps the sleeper from sleeping") {
  for (const auto fence : kFences) {
    Bell b;
    const auto ticket = b.bell.arm(Sleeper::futex);
    CHECK(ticket == b.value());
    CHECK_FALSE(b.bell.ring(fence));
    CHECK(b.bell.sleep(ticket, kPatience) == FutexWait::changed);
  }
}

TEST_CASE("doorbell: a ring disarms the bell, so that the next one costs nothing") {
  Bell b;
  static_cast<void>(b.bell.arm(Sleeper::futex));
  CHECK_FALSE(b.bell.ring(RingFence::full));
  const auto after = b.value();
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK(b.value() == after);
}

TEST_CASE("doorbell: the ringer is told once that an event loop is to be signalled") {
  Bell b;
  static_cast<void>(b.bell.arm(Sleeper::event_loop));
  CHECK(b.bell.ring(RingFence::full));
  CHECK_FALSE(b.bell.ring(RingFence::full));
}

TEST_CASE("doorbell: a futex sleeper and an event loop may wait at the same bell") {
  Bell b;
  const auto first = b.bell.arm(Sleeper::futex);
  const auto second = b.bell.arm(Sleeper::event_loop);
  CHECK(b.bell.sleep(first, kPatience) == FutexWait::changed);
  CHECK(b.bell.ring(RingFence::full));
  CHECK(b.bell.sleep(second, kPatience) == FutexWait::changed);
}

TEST_CASE("doorbell: arming again after a ring gives another ticket") {
  Bell b;
  const auto first = b.bell.arm(Sleeper::futex);
  CHECK(b.bell.arm(Sleeper::futex) == first);
  static_cast<void>(b.bell.ring(RingFence::full));
  CHECK(b.bell.arm(Sleeper::futex) != first);
}

TEST_CASE("doorbell: a bell that was not rung lets the deadline pass") {
  Bell b;
  const auto ticket = b.bell.arm(Sleeper::futex);
  CHECK(b.bell.sleep(ticket, std::chrono::milliseconds(0)) == FutexWait::timed_out);
  CHECK(b.bell.sleep(ticket, std::chrono::milliseconds(1)) == FutexWait::timed_out);
}

TEST_CASE("doorbell: a ring wakes who sleeps") {
  for (const auto fence : kFences) {
    Bell b;
    Asleep sleeper(b.bell);
    REQUIRE(sleeper.was_asleep());
    CHECK_FALSE(b.bell.ring(fence));
    CHECK(sleeper.is_woken());
  }
}

TEST_CASE("doorbell: a ring wakes all who sleep") {
  Bell b;
  Asleep one(b.bell);
  Asleep two(b.bell);
  REQUIRE((one.was_asleep() && two.was_asleep()));
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK(one.is_woken());
  CHECK(two.is_woken());
}

TEST_CASE("doorbell: ringing always wakes a sleeper whose bit somebody cleared and did not wake") {
  Bell b;
  Asleep sleeper(b.bell);
  REQUIRE(sleeper.was_asleep());
  b.word.fetch_and(~std::uint32_t{3}, std::memory_order_relaxed);
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK_FALSE(b.bell.ring_always());
  CHECK(sleeper.is_woken());
}

TEST_CASE("doorbell: ringing always changes the word, and tells of an event loop") {
  Bell b;
  const auto before = b.value();
  CHECK_FALSE(b.bell.ring_always());
  CHECK(b.value() != before);
  static_cast<void>(b.bell.arm(Sleeper::event_loop));
  CHECK(b.bell.ring_always());
}

TEST_CASE("doorbell: the sequence may run over without touching the armed bits") {
  Bell b;
  b.word.store(~std::uint32_t{3}, std::memory_order_relaxed);
  const auto ticket = b.bell.arm(Sleeper::futex);
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK(b.value() == 0);
  CHECK(b.bell.sleep(ticket, kPatience) == FutexWait::changed);
}
