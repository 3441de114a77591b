// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <cstdint>
#include <new>
#include <string>

#include "../support/catch.hpp"
#include "../support/own_program.hpp"
#include "../unit/os_support.hpp"
#include "mews/os/mapping.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/os/memory_file.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/spin.hpp"
#include "stress_support.hpp"

namespace {

using mews::os::FutexWait;
using mews::sync::Doorbell;
using mews::sync::RingFence;
using mews_test::between;
using mews_test::Random;

constexpr std::uint64_t kBytes = 4096;

/// Two counters on lines of their own, each with the bell of who waits for it.
struct Side {
  alignas(128) mews::base::Atomic<std::uint64_t> count;
  alignas(128) mews::base::Atomic<std::uint32_t> bell;
};
struct Table {
  Side sides[2];
};

struct Plan {
  std::uint64_t seed;
  std::uint64_t rounds;
  RingFence fence;
};

/// Long enough for any wake-up; a lost one is known after it.
constexpr std::chrono::seconds kLost{15};

/// Looks `looks` times, then sleeps until `side` has counted to `goal`; false when that takes for
/// ever.
bool wait_for(Side& side, std::uint64_t goal, std::uint64_t looks) {
  const Doorbell bell(side.bell);
  const auto is_there = [&] { return side.count.load(std::memory_order_acquire) >= goal; };
  for (std::uint64_t i = 0; i < looks && !is_there(); ++i)
    mews::sync::cpu_relax();
  while (!is_there()) {
    const auto ticket = bell.arm(mews::sync::Sleeper::futex, mews::sync::ArmFence::heavy);
    if (is_there()) return true;
    if (bell.sleep(ticket, kLost) == FutexWait::timed_out) return false;
  }
  return true;
}

/// Counts in turn with the other side. How long each dawdles before it counts, and looks before it
/// arms, differs widely: once both are awake, publishing and arming meet at every offset, and a
/// side that slept needs long to come back. Empty when no wake-up was lost.
std::string play(Table& table, unsigned me, const Plan& plan) {
  Random random(plan.seed + me);
  auto& mine = table.sides[me];
  auto& other = table.sides[1 - me];
  for (std::uint64_t turn = 0; turn < 2 * plan.rounds; ++turn) {
    const auto round = turn / 2 + 1;
    if (turn % 2 == me) {
      const auto pauses = between(random, 0, 30);
      for (std::uint64_t i = 0; i < pauses; ++i)
        mews::sync::cpu_relax();
      mine.count.store(round, std::memory_order_release);
      static_cast<void>(Doorbell(mine.bell).ring(plan.fence));
    } else if (!wait_for(other, round, between(random, 0, 1U << between(random, 0, 12)))) {
      return "round " + std::to_string(round) + ": a wake-up was lost";
    }
  }
  return {};
}

/// The fence that two sides may use which both say whether they could register.
RingFence fence_for(bool is_light) {
  return is_light ? RingFence::light : RingFence::full;
}

void play_in_threads(RingFence fence) {
  const Plan plan{.seed = mews_test::make_seed("doorbell stress"),
                  .rounds = mews_test::scaled(150'000),
                  .fence = fence};
  Table table{};
  stress::Complaints complaints;
  stress::run_threads(2, [&](unsigned me) {
    if (auto complaint = play(table, me, plan); !complaint.empty()) complaints.add(complaint);
  });
  CHECK(complaints.all() == "");
}

void play_in_processes() {
  const bool is_light = mews::os::register_light_fence();
  const Plan plan{.seed = mews_test::make_seed("doorbell stress"),
                  .rounds = mews_test::scaled(150'000),
                  .fence = fence_for(is_light)};
  const auto file = mews::os::MemoryFile::create_anonymous("table", kBytes).value();
  const auto mapping = mews::os::Mapping::map(file, kBytes).value();
  auto* table = new (mapping.bytes().data()) Table{};
  os_test::Fork child([&] {
    const auto own = mews::os::Mapping::map(file, kBytes);
    // A child of a fork is a process of its own: it has to register for itself.
    if (!own || mews::os::register_light_fence() != is_light) return 2;
    auto& shared = *std::launder(reinterpret_cast<Table*>(own->bytes().data()));
    return play(shared, 1, plan).empty() ? 0 : 1;
  });
  const auto complaint = play(*table, 0, plan);
  CHECK(complaint == "");
  CHECK(child.outcome() == "exit code 0");
}

}  // namespace

TEST_CASE("doorbell: two threads with the light fence lose no wake-up") {
  play_in_threads(fence_for(mews::os::register_light_fence()));
}

TEST_CASE("doorbell: two threads with the full fence lose no wake-up") {
  play_in_threads(RingFence::full);
}

TEST_CASE("doorbell: two processes with the fence that they could register for lose no wake-up") {
  play_in_processes();
}

TEST_CASE("a process without the light fence loses no wake-up", "[.without-light-fence]") {
  // Run by the test below in a process that has never registered.
  mews_test::InOwnProgram program;
  REQUIRE_FALSE(mews::os::register_light_fence());
  play_in_threads(RingFence::full);
  play_in_processes();
  program.finish();
}

TEST_CASE("doorbell: without the light fence anywhere no wake-up is lost") {
  // Its own patience is shorter than this one.
  const auto run = mews_test::run_own_program("[.without-light-fence]", {"MEWS_FULL_FENCE=1"},
                                              4 * stress::kPatience);
  CHECK(run.outcome == "passed");
}
