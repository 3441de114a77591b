// SPDX-License-Identifier: MIT
#include "mews/sync/spin.hpp"

#include <chrono>
#include <cstdint>

#include "../support/catch.hpp"
#include "fake_system.hpp"

namespace {

using namespace std::chrono_literals;
using mews::sync::SpinBudget;
using mews_test::FakeSystem;

/// Ready at the `at`th look; counts the looks.
struct Condition {
  std::uint64_t at;
  std::uint64_t looks = 0;
  bool operator()() { return ++looks >= at; }
};

constexpr auto kNever = ~std::uint64_t{0};
constexpr auto kLimit = 64us;
/// Not even the look at the clock after a yield would be seen.
constexpr auto kNobody = -1us;

using Budget = mews::sync::BasicSpinBudget<FakeSystem>;

FakeSystem::Clock::time_point before(FakeSystem::Clock::duration waited) {
  return FakeSystem::Clock::time_point(FakeSystem::clock - waited);
}

/// A waiter that is alone on its processor.
class Lonely {
 public:
  Lonely() {
    FakeSystem::reset();
    FakeSystem::yield_takes = kNobody;
    for (int i = 0; i < 5; ++i)
      (void)spin_in_vain();
    for (int i = 0; i < 10; ++i)
      spin_.learn(before(0us));
  }
  /// How long a spin in vain takes by the clock.
  std::chrono::microseconds spin_in_vain() {
    Condition never{kNever};
    const auto began = FakeSystem::clock;
    REQUIRE_FALSE(spin_.spin(never, mews::forever));
    return std::chrono::duration_cast<std::chrono::microseconds>(FakeSystem::clock - began);
  }
  [[nodiscard]] Budget& spin() { return spin_; }
  /// The longest of a whole round of spins, one of which tries the whole limit, and how many of
  /// them took longer than `least`.
  int longer_than(std::chrono::microseconds least) {
    int count = 0;
    for (int i = 0; i < 64; ++i)
      count += spin_in_vain() > least ? 1 : 0;
    return count;
  }

 private:
  Budget spin_{kLimit};
};

}  // namespace

TEST_CASE("spin: without a budget it looks exactly once, and yields never") {
  FakeSystem::reset();
  Budget spin(0ns);
  for (int i = 0; i < 10'000; ++i) {
    Condition never{kNever};
    CHECK_FALSE(spin.spin(never, mews::forever));
    REQUIRE(never.looks == 1);
  }
  Condition at_once{1};
  CHECK(spin.spin(at_once, mews::forever));
  CHECK(at_once.looks == 1);
  CHECK(FakeSystem::yields == 0);
}

TEST_CASE("spin: it ends at the look that finds the condition true") {
  for (const std::uint64_t at : {1U, 2U, 31U, 32U, 33U}) {
    SpinBudget spin(std::chrono::hours(1));
    Condition condition{at};
    CHECK(spin.spin(condition, mews::forever));
    CHECK(condition.looks == at);
  }
}

TEST_CASE("spin: it gives up when the deadline passes, whatever the budget is") {
  SpinBudget spin(std::chrono::hours(1));
  Condition never{kNever};
  CHECK_FALSE(spin.spin(never, -1ms));
  CHECK(never.looks >= 1);
}

TEST_CASE("spin: alone, a waiter spins for the limit") {
  Lonely lonely;
  const auto took = lonely.spin_in_vain();
  CHECK(took >= kLimit);
  CHECK(took < kLimit + 4us);
}

TEST_CASE("spin: long waits halve the budget, down to a single look without the clock") {
  Lonely lonely;
  for (int i = 0; i < 20; ++i)
    lonely.spin().learn(before(200us));
  CHECK(lonely.longer_than(0us) == 1);
}

TEST_CASE("spin: the whole limit is tried now and then, even after long waits alone") {
  Lonely lonely;
  for (int i = 0; i < 20; ++i)
    lonely.spin().learn(before(200us));
  CHECK(lonely.longer_than(kLimit - 1us) == 1);
}

TEST_CASE("spin: the whole limit is tried more and more seldom, until a try succeeds") {
  Lonely lonely;
  for (int i = 0; i < 20; ++i)
    lonely.spin().learn(before(200us));
  int tries = 0;
  for (int round = 0; round < 64; ++round)
    tries += lonely.longer_than(kLimit - 1us);
  // After 64, 128, 256, 512, 1024, 1024 and 1024 waits: 4032 of 4096.
  CHECK(tries == 7);
  for (int i = 0; i < 20; ++i)
    lonely.spin().learn(before(0us));
  (void)lonely.spin_in_vain();
  for (int i = 0; i < 20; ++i)
    lonely.spin().learn(before(200us));
  CHECK(lonely.longer_than(kLimit - 1us) == 1);
}

TEST_CASE("spin: waits that sleep though they need not have bring the budget back") {
  Lonely lonely;
  for (int i = 0; i < 20; ++i)
    lonely.spin().learn(before(200us));
  // Shorter than the limit but for the wake-up.
  for (int i = 0; i < 20; ++i)
    lonely.spin().learn(before(90us));
  CHECK(lonely.longer_than(kLimit - 1us) == 64);
}

TEST_CASE("spin: a wait that is half as long again as the limit is a long one") {
  Lonely lonely;
  lonely.spin().learn(before(97us));
  CHECK(lonely.spin_in_vain() < kLimit);
}

TEST_CASE("spin: alone, it yields more and more seldom") {
  Lonely lonely;
  const int yields_before = FakeSystem::yields;
  (void)lonely.spin_in_vain();
  // At 0, 1, 4, ... microseconds, and perhaps once in turn.
  CHECK(FakeSystem::yields - yields_before >= 4);
  CHECK(FakeSystem::yields - yields_before <= 8);
}

TEST_CASE("spin: with other waiters it yields once, looks again, and gives up") {
  FakeSystem::reset();
  FakeSystem::yield_takes = 30us;
  Budget spin(kLimit);
  for (int i = 0; i < 7; ++i) {  // the eighth would take a turn
    Condition never{kNever};
    CHECK_FALSE(spin.spin(never, mews::forever));
    CHECK(FakeSystem::yields == i + 1);
    CHECK(never.looks == 96);
  }
  // What comes during the yield is found.
  Condition after{90};
  CHECK(spin.spin(after, mews::forever));
}

TEST_CASE("spin: with one that computes it looks briefly and yields no more") {
  FakeSystem::reset();
  FakeSystem::yield_takes = 4ms;
  Budget spin(kLimit);
  for (int i = 0; i < 20; ++i) {
    Condition never{kNever};
    const auto began = FakeSystem::clock;
    CHECK_FALSE(spin.spin(never, mews::forever));
    CHECK(FakeSystem::yields == 1);
    if (i > 0) CHECK(FakeSystem::clock - began < 8us);
  }
}

TEST_CASE("spin: what is learnt in company is not held against the budget") {
  FakeSystem::reset();
  FakeSystem::yield_takes = 30us;
  Budget spin(kLimit);
  for (int i = 0; i < 20; ++i) {
    (void)spin.spin(Condition{kNever}, mews::forever);
    spin.learn(before(10ms));
  }
  FakeSystem::yield_takes = kNobody;
  for (int i = 0; i < 8; ++i)
    (void)spin.spin(Condition{kNever}, mews::forever);
  const auto began = FakeSystem::clock;
  (void)spin.spin(Condition{kNever}, mews::forever);
  CHECK(FakeSystem::clock - began >= kLimit);
}
