// SPDX-License-Identifier: MIT
#include "mews/sync/yielder.hpp"

#include <chrono>
#include <memory>

#include "../support/catch.hpp"
#include "fake_system.hpp"

namespace {

using namespace std::chrono_literals;
using mews::sync::Company;
using mews_test::FakeSystem;

/// One waiter on the fake processor, with the arena's counts.
struct Waiter {
  Waiter() { FakeSystem::reset(); }

  bool yield() { return yielder.yield(FakeSystem::now()); }
  /// Yields that so many waits cause.
  int yields_of(int waits) {
    const int before = FakeSystem::yields;
    for (int i = 0; i < waits; ++i)
      yielder.take_turn();
    return FakeSystem::yields - before;
  }
  void be_alone() {
    for (int i = 0; i < 10; ++i)
      yield();
    REQUIRE(yielder.company() == Company::none);
  }
  /// From now on others run at each yield, so long, and count so often.
  void meet(std::chrono::nanoseconds run, std::uint32_t turns) {
    FakeSystem::yield_takes = run;
    FakeSystem::place = &turns_->of(FakeSystem::kNumber);
    FakeSystem::turns_of_others = turns;
  }

 private:
  std::unique_ptr<mews::layout::CpuTurns> turns_ = std::make_unique<mews::layout::CpuTurns>();

 public:
  mews::sync::BasicYielder<FakeSystem> yielder{turns_.get()};
};

/// Not even the look at the clock after the yield would be seen.
constexpr auto kNobody = -1us;

}  // namespace

TEST_CASE("yielder: it begins politely, as others may not know of it") {
  Waiter waiter;
  CHECK(waiter.yielder.company() == Company::waiters);
  CHECK(waiter.yields_of(80) == 10);
}

TEST_CASE("yielder: once some yields in a row find nobody, it is alone, and seldom yields") {
  Waiter waiter;
  waiter.meet(kNobody, 0);
  for (int i = 0; i < 4; ++i) {
    CHECK(waiter.yielder.company() == Company::waiters);
    CHECK_FALSE(waiter.yield());
  }
  CHECK(waiter.yielder.company() == Company::none);
  CHECK(waiter.yields_of(2560) == 10);
}

TEST_CASE("yielder: one yield that others used shows company") {
  Waiter waiter;
  waiter.meet(kNobody, 0);
  waiter.be_alone();
  waiter.meet(20us, 0);
  CHECK(waiter.yield());
  CHECK(waiter.yielder.company() == Company::waiters);
}

TEST_CASE("yielder: others that count their turns are waiters, however long they ran") {
  Waiter waiter;
  // Two that have kept their time slices, and count all 30 microseconds.
  waiter.meet(8ms, 266);
  for (int i = 0; i < 100; ++i) {
    CHECK(waiter.yield());
    CHECK(waiter.yielder.company() == Company::waiters);
  }
}

TEST_CASE(
    "yielder: after a time slice of one that computes it does not yield, each time for longer") {
  Waiter waiter;
  // Sixteen waiters take their turns besides.
  waiter.meet(4ms, 16);
  CHECK(waiter.yield());
  CHECK(waiter.yielder.company() == Company::workers);
  for (int rest = 64; rest <= 1024; rest *= 2) {
    for (int i = 0; i < rest; ++i)
      REQUIRE_FALSE(waiter.yield());
    CHECK(waiter.yield());
    CHECK(waiter.yielder.company() == Company::workers);
  }
}

TEST_CASE("yielder: after the longest rest it looks again, and finds that it is alone") {
  Waiter waiter;
  waiter.meet(4ms, 0);
  for (int i = 0; i < 100'000; ++i)
    waiter.yield();
  waiter.meet(kNobody, 0);
  for (int i = 0; i < 100'000; ++i)
    waiter.yield();
  CHECK(waiter.yielder.company() == Company::none);
}

TEST_CASE("yielder: waiters count at their processor's place, so that others see them") {
  FakeSystem::reset();
  const auto turns = std::make_unique<mews::layout::CpuTurns>();
  mews::sync::BasicYielder<FakeSystem> yielder(turns.get());
  for (int i = 0; i < 64'000; ++i)
    yielder.take_turn();
  for (unsigned cpu = 0; cpu < mews::layout::CpuTurns::kPlaces; ++cpu) {
    const auto count = turns->of(cpu).load(std::memory_order_relaxed);
    CHECK((count >= 1000) == (cpu == FakeSystem::kNumber));
  }
}

TEST_CASE("yielder: without an arena's counts each long yield is that of one that computes") {
  FakeSystem::reset();
  FakeSystem::yield_takes = 4ms;
  mews::sync::BasicYielder<FakeSystem> yielder(nullptr);
  CHECK(yielder.yield(FakeSystem::now()));
  CHECK(yielder.company() == Company::workers);
}

TEST_CASE("yielder: the system has a processor and lets others run") {
  mews::sync::Cpu::yield();
  CHECK(mews::sync::Cpu::number() < 1u << 20);
}
