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

TEST_CASE("spin: after many failures it still looks, and after many successes as well") {
  SpinBudget spin(10us);
  for (int i = 0; i < 100; ++i)
    CHECK_FALSE(spin.spin(Condition{kNever}, mews::forever));
  CHECK(spin.spin([] { return true; }, mews::forever));
  for (int i = 0; i < 100; ++i)
    CHECK(spin.spin(Condition{10}, mews::forever));
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
