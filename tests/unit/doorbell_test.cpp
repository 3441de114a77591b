// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>

#include "../support/catch.hpp"
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

TEST_CASE("doorbell: ringing always wakes a sleeper whose arming was not seen") {
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
