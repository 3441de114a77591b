// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>

#include "../support/catch.hpp"
#include "mews/sync/spin.hpp"

namespace {

using namespace std::chrono_literals;
using mews::sync::SpinBudget;

/// Ready at the `at`th look; counts the looks.
struct Condition {
  std::uint64_t at;
  std::uint64_t looks = 0;
  bool operator()() { return ++looks >= at; }
};

constexpr auto kNever = ~std::uint64_t{0};

/// Each reading is a microsecond later than the one before.
struct TickingClock {
  static mews::Deadline::Clock::time_point now() {
    ticks += 1us;
    return mews::Deadline::Clock::time_point(ticks);
  }
  static inline std::chrono::microseconds ticks{0};
};
using TickingBudget = mews::sync::BasicSpinBudget<TickingClock>;

/// How long a spin in vain takes: by the clock's readings, one for each 32 looks. The first begins.
std::chrono::microseconds spin_in_vain(TickingBudget& spin) {
  Condition never{kNever};
  REQUIRE_FALSE(spin.spin(never, mews::forever));
  REQUIRE(never.looks % 32 == 0);
  return std::chrono::microseconds(never.looks / 32 - 1);
}

bool spin_with_success(TickingBudget& spin) {
  return spin.spin(Condition{1}, mews::forever);
}

}  // namespace

TEST_CASE("spin: without a budget it looks exactly once") {
  SpinBudget spin(0ns);
  Condition never{kNever};
  CHECK_FALSE(spin.spin(never, mews::forever));
  CHECK(never.looks == 1);
  Condition at_once{1};
  CHECK(spin.spin(at_once, mews::forever));
  CHECK(at_once.looks == 1);
}

TEST_CASE("spin: it ends at the look that finds the condition true") {
  for (const std::uint64_t at : {1U, 2U, 31U, 32U, 33U, 100U}) {
    SpinBudget spin(std::chrono::hours(1));
    Condition condition{at};
    CHECK(spin.spin(condition, mews::forever));
    CHECK(condition.looks == at);
  }
}

TEST_CASE("spin: it gives up when its budget is used up") {
  SpinBudget spin(1us);
  Condition never{kNever};
  CHECK_FALSE(spin.spin(never, mews::forever));
  CHECK(never.looks >= 32);
}

TEST_CASE("spin: it gives up when the deadline passes, whatever the budget is") {
  SpinBudget spin(std::chrono::hours(1));
  Condition never{kNever};
  CHECK_FALSE(spin.spin(never, -1ms));
  CHECK(never.looks >= 1);
}

TEST_CASE("spin: each failure halves the budget, down to a sixteenth of the limit") {
  TickingBudget spin(64us);
  for (const auto budget : {64us, 32us, 16us, 8us, 4us, 4us, 4us})
    CHECK(spin_in_vain(spin) == budget);
}

TEST_CASE("spin: each success doubles the budget, up to the limit") {
  TickingBudget spin(64us);
  for (int i = 0; i < 10; ++i)
    static_cast<void>(spin_in_vain(spin));
  // A failure, to see the budget, costs a half of it; two successes make up for it and double it.
  REQUIRE(spin_with_success(spin));
  for (const auto budget : {8us, 16us, 32us, 64us, 64us, 64us}) {
    CHECK(spin_in_vain(spin) == budget);
    REQUIRE(spin_with_success(spin));
    REQUIRE(spin_with_success(spin));
  }
}

TEST_CASE("spin: a success within the budget that has come down is a success") {
  TickingBudget spin(64us);
  for (int i = 0; i < 10; ++i)
    static_cast<void>(spin_in_vain(spin));
  // At the end of the third microsecond of the four there are.
  CHECK(spin.spin(Condition{4 * 32}, mews::forever));
  CHECK(spin_in_vain(spin) == 8us);
}

TEST_CASE("spin: a lower limit holds at once, and what was learnt beneath it stays") {
  TickingBudget spin(64us);
  spin.set_limit(16us);
  CHECK(spin_in_vain(spin) == 16us);
  CHECK(spin_in_vain(spin) == 8us);
  spin.set_limit(64us);
  CHECK(spin_in_vain(spin) == 4us);
}

TEST_CASE("spin: a limit set later is obeyed") {
  SpinBudget spin(std::chrono::hours(1));
  spin.set_limit(0ns);
  Condition never{kNever};
  CHECK_FALSE(spin.spin(never, mews::forever));
  CHECK(never.looks == 1);
  spin.set_limit(1us);
  Condition again{kNever};
  CHECK_FALSE(spin.spin(again, mews::forever));
  CHECK(again.looks >= 32);
}

TEST_CASE("spin: at least one processor is usable") {
  CHECK(mews::sync::usable_cpus() >= 1);
}
