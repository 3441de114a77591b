// SPDX-License-Identifier: MIT
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "../support/catch.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/sync/role.hpp"
#include "mews/sync/spin.hpp"
#include "stress_support.hpp"

namespace {

using mews::sync::Role;
using mews_test::between;
using mews_test::Random;

constexpr unsigned kThreads = 3;

/// A role, and state that only one may touch: `plain` without any protection but the role's.
struct Guarded {
  Role role;
  std::atomic<std::uint32_t> inside{0};
  std::uint64_t plain = 0;
  std::array<std::uint64_t, kThreads> entries{};
};

/// Tries to enter `attempts` times, most of the time quickly one after the other, so that the role
/// comes to be biased to this thread.
void enter_often(Guarded& guarded, unsigned me, Random& random, stress::Complaints& complaints) {
  const auto attempts = between(random, 20, 400);
  for (std::uint64_t i = 0; i < attempts && !complaints.any(); ++i) {
    const mews::sync::RoleGuard hold(guarded.role);
    if (!hold) {
      if (between(random, 0, 3) == 0) std::this_thread::yield();
      continue;
    }
    // Relaxed: only the number counts.
    if (guarded.inside.fetch_add(1, std::memory_order_relaxed) != 0) {
      complaints.add("two threads are inside");
    }
    ++guarded.plain;
    ++guarded.entries[me];
    guarded.inside.fetch_sub(1, std::memory_order_relaxed);
  }
}

void hammer(std::uint64_t roles) {
  const auto seed = mews_test::make_seed("role stress");
  stress::Complaints complaints;
  std::vector<std::unique_ptr<Guarded>> all;
  for (std::uint64_t i = 0; i < roles; ++i)
    all.push_back(std::make_unique<Guarded>());
  std::atomic<std::uint64_t> arrived{0};
  stress::run_threads(kThreads, [&](unsigned me) {
    Random random(seed + me);
    for (std::uint64_t i = 0; i < roles && !complaints.any(); ++i) {
      // A role has few bias slots, so that each is used for a short time only, by all at once.
      arrived.fetch_add(1, std::memory_order_relaxed);
      stress::Idle idle;
      while (arrived.load(std::memory_order_relaxed) < kThreads * (i + 1) && !complaints.any()) {
        idle.wait();
      }
      for (int turn = 0; turn < 4; ++turn)
        enter_often(*all[i], me, random, complaints);
    }
  });
  REQUIRE(complaints.all() == "");
  std::uint64_t lost = 0;
  for (const auto& guarded : all) {
    for (const auto entries : guarded->entries)
      lost += entries;
    lost -= guarded->plain;
  }
  CHECK(lost == 0);
}

/// Meets the other thread; false when that has complained.
bool meet(std::atomic<std::uint64_t>& arrived, std::uint64_t goal,
          const stress::Complaints& complaints) {
  arrived.fetch_add(1, std::memory_order_acq_rel);
  for (std::uint64_t looks = 1; arrived.load(std::memory_order_acquire) < goal; ++looks) {
    if (complaints.any()) return false;
    if (looks % 4096 == 0) std::this_thread::yield();
  }
  return true;
}

/// Enters once; `pauses` is how long it stays.
void visit(Guarded& guarded, std::uint64_t pauses, stress::Complaints& complaints) {
  const mews::sync::RoleGuard hold(guarded.role);
  if (!hold) return;
  // Relaxed: only the number counts.
  if (guarded.inside.fetch_add(1, std::memory_order_relaxed) != 0) {
    complaints.add("two threads are inside");
  }
  for (std::uint64_t i = 0; i < pauses; ++i)
    mews::sync::cpu_relax();
  guarded.inside.fetch_sub(1, std::memory_order_relaxed);
}

/// One thread goes in and out as fast as it can; the other comes once, at any moment, takes the
/// bias away and stays a little.
void duel(std::uint64_t rounds) {
  constexpr std::uint64_t kRoundsPerRole = 6;  // each takes one of a role's bias slots
  const auto seed = mews_test::make_seed("role duel");
  stress::Complaints complaints;
  std::vector<std::unique_ptr<Guarded>> all;
  for (std::uint64_t i = 0; i <= rounds / kRoundsPerRole; ++i) {
    all.push_back(std::make_unique<Guarded>());
  }
  std::atomic<std::uint64_t> arrived{0};
  stress::run_threads(2, [&](unsigned me) {
    Random random(seed + me);
    for (std::uint64_t round = 0; round < rounds; ++round) {
      auto& guarded = *all[round / kRoundsPerRole];
      for (int i = 0; me == 0 && i < 20; ++i)
        visit(guarded, 0, complaints);
      if (!meet(arrived, 4 * round + 2, complaints)) return;
      const auto pauses = between(random, 0, 40);
      for (std::uint64_t i = 0; me == 0 && i < 100; ++i)
        visit(guarded, 0, complaints);
      for (std::uint64_t i = 0; me == 1 && i < pauses; ++i)
        mews::sync::cpu_relax();
      if (me == 1) visit(guarded, 40, complaints);
      if (!meet(arrived, 4 * round + 4, complaints)) return;
    }
  });
  CHECK(complaints.all() == "");
}

}  // namespace

TEST_CASE("role: who takes the bias away is never inside together with the one that had it") {
  static_cast<void>(mews::os::register_light_fence());
  duel(mews_test::scaled(50'000));
}

TEST_CASE("role: of three threads exactly one is inside at a time") {
  static_cast<void>(mews::os::register_light_fence());
  hammer(mews_test::scaled(10'000));
}
