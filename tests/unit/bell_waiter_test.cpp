// SPDX-License-Identifier: MIT
#include "mews/sync/bell_waiter.hpp"

#include "../support/catch.hpp"

namespace {

using mews::sync::BellWaiter;
using mews::sync::Doorbell;
using mews::sync::RingFence;
using mews::sync::Sleeper;

struct Waiter {
  mews::base::Atomic<std::uint32_t> word{0};
  Doorbell bell{word};
  BellWaiter waiter{bell};

  /// Says that it sleeps, and is rung for.
  void sleep_at(std::uint64_t progress) {
    static_cast<void>(waiter.arm(Sleeper::futex, progress));
    static_cast<void>(bell.ring(RingFence::full));
  }
  /// Whether the bell says that somebody sleeps there often: nobody sleeps now.
  [[nodiscard]] bool says_often() const { return bell.may_need_ring(); }
};

}  // namespace

TEST_CASE("bell waiter: one that sleeps again and again says that it sleeps often") {
  Waiter w;
  w.sleep_at(0);
  CHECK_FALSE(w.says_often());
  w.sleep_at(1);
  CHECK(w.says_often());
  w.sleep_at(2);
  CHECK(w.says_often());
}

TEST_CASE("bell waiter: one for which much comes between two sleeps does not") {
  Waiter w;
  for (std::uint64_t i = 0; i < 100; ++i) {
    w.sleep_at(1000 * i);
    CHECK_FALSE(w.says_often());
  }
}

TEST_CASE("bell waiter: once much comes without a sleep, it takes that back") {
  Waiter w;
  for (std::uint64_t i = 0; i < 10; ++i)
    w.sleep_at(i);
  REQUIRE(w.says_often());
  w.waiter.tend(4000);
  CHECK(w.says_often());
  w.waiter.tend(5000);
  CHECK_FALSE(w.says_often());
  // And says it again when the habit is back.
  w.sleep_at(5001);
  w.sleep_at(5002);
  w.sleep_at(5003);
  CHECK(w.says_often());
}

TEST_CASE("bell waiter: a sleep after much takes it back as well") {
  Waiter w;
  for (std::uint64_t i = 0; i < 10; ++i)
    w.sleep_at(i);
  w.sleep_at(10'000);
  CHECK_FALSE(w.says_often());
}
