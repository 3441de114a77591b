// SPDX-License-Identifier: MIT
#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/mem/census.hpp"
#include "mews/mem/slab_pool.hpp"

namespace {

using mews::ClassId;
using mews::LaneId;
using mews::PeerId;
using mews::layout::Phase;
using mews::layout::TruthWord;
using mews::mem::Slab;
using mews::mem::SlabPool;
using namespace mews_test;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr LaneId kLane{2};

struct Told final : mews::mem::FreedListener {
  std::array<int, 4> times{};
  void on_freed(ClassId id) noexcept override { ++times[id.value()]; }
};

/// A pool that tells, and one of another peer that does not.
struct Scene {
  mews::mem::Arena arena = make_arena();
  Told told;
  SlabPool pool{arena, PeerId{1}, &told};
  SlabPool other{arena, PeerId{2}};

  [[nodiscard]] int times() const { return told.times[k4MiB.value()]; }
  [[nodiscard]] auto& word(std::uint32_t i) const { return arena.view(k4MiB).words[i]; }
  void set(std::uint32_t i, const TruthWord& to) const {
    word(i).store(to.pack(), std::memory_order_relaxed);
  }
  [[nodiscard]] TruthWord at(std::uint32_t i) const { return truth(arena, k4MiB, i); }
  [[nodiscard]] std::vector<std::uint64_t> words() const {
    std::vector<std::uint64_t> all;
    for (std::uint32_t i = 0; i < 8; ++i)
      all.push_back(word(i).load(std::memory_order_relaxed));
    return all;
  }
};

SlabPool::Claim claim_of(const Slab& slab, std::uint64_t bytes) {
  return {.size_class = slab.size_class.value(),
          .index = slab.first.value(),
          .generation = TruthWord::unpack(slab.word).generation,
          .bytes = bytes};
}

}  // namespace

TEST_CASE("slab give back: what is freed on purpose is told, once a call and of its class") {
  Scene scene;
  const auto small = try_claim(scene.pool, 100).value();
  auto run = try_claim(scene.pool, 20 * kMiB).value();
  CHECK(scene.told.times == std::array{0, 0, 0, 0});
  CHECK(scene.pool.release(small));
  CHECK_FALSE(scene.pool.release(small));
  CHECK(scene.told.times == std::array{1, 0, 0, 0});
  CHECK(scene.pool.shrink(run, 12 * kMiB));
  CHECK(scene.told.times == std::array{1, 0, 0, 1});
  CHECK(scene.pool.release(run));
  CHECK_FALSE(scene.pool.release(run));
  CHECK(scene.told.times == std::array{1, 0, 0, 2});
}

TEST_CASE("slab give back: a run that is not to be had takes nothing meanwhile and tells nobody") {
  Scene scene;
  std::vector<Slab> held;
  for (int i = 0; i < 8; ++i)
    held.push_back(claim_one(scene.other, k4MiB).value());
  for (const std::size_t i : {0U, 1U, 3U, 4U, 6U, 7U})
    REQUIRE(scene.other.release(held[i]));
  const auto before = scene.words();
  CHECK_FALSE(try_claim(scene.pool, 12 * kMiB));
  CHECK(scene.words() == before);
  CHECK(scene.times() == 0);
}

TEST_CASE("slab give back: a run of which the host freed any slab first is all free, and told") {
  for (std::uint32_t freed = 0; freed < 3; ++freed) {
    INFO("slab " << freed);
    Scene scene;
    auto run = try_claim(scene.pool, 12 * kMiB).value();
    REQUIRE(scene.pool.send(run, kLane));
    scene.set(freed, scene.at(freed).freed());
    CHECK_FALSE(scene.pool.unsend(run, kLane));
    CHECK(audit(scene.arena).is_all_free());
    CHECK(scene.times() == 1);
  }
}

TEST_CASE("slab give back: what the host freed of a run and somebody claimed since stays his") {
  for (std::uint32_t freed = 0; freed < 3; ++freed) {
    INFO("slab " << freed);
    Scene scene;
    auto run = try_claim(scene.pool, 12 * kMiB).value();
    REQUIRE(scene.pool.send(run, kLane));
    scene.set(freed, scene.at(freed).freed());
    const auto since = claim_one(scene.pool, k4MiB).value();
    REQUIRE(since.first.value() == freed);
    CHECK_FALSE(scene.pool.unsend(run, kLane));
    CHECK(scene.word(freed).load(std::memory_order_relaxed) == since.word);
    CHECK(scene.pool.release(since));
    CHECK(audit(scene.arena).is_all_free());
  }
}

TEST_CASE("slab give back: a word that somebody scribbled on does not keep the rest of a run") {
  for (std::uint32_t bad = 0; bad < 3; ++bad) {
    INFO("slab " << bad);
    Scene scene;
    const auto run = try_claim(scene.pool, 12 * kMiB).value();
    const auto scribble = scene.at(bad).held_by(3);
    scene.set(bad, scribble);
    CHECK_FALSE(scene.pool.release(run));
    for (std::uint32_t i = 0; i < 3; ++i)
      CHECK(scene.at(i).phase == (i == bad ? Phase::held : Phase::free));
    CHECK(scene.at(bad) == scribble);
    CHECK(scene.times() == 1);
  }
}

TEST_CASE("slab give back: a run that cannot all be sent is held as before") {
  for (std::uint32_t bad = 0; bad < 3; ++bad) {
    INFO("slab " << bad);
    Scene scene;
    auto run = try_claim(scene.pool, 12 * kMiB).value();
    scene.set(bad, scene.at(bad).held_by(3));
    const auto before = scene.words();
    CHECK_FALSE(scene.pool.send(run, kLane));
    CHECK(scene.words() == before);
    CHECK_FALSE(scene.pool.release(run));
    CHECK_FALSE(holds_any(scene.arena, PeerId{1}));
  }
}

TEST_CASE("slab give back: a record that also names a slab of the receiver's costs it nothing") {
  Scene scene;
  auto run = try_claim(scene.other, 12 * kMiB).value();
  REQUIRE(scene.other.send(run, kLane));
  scene.set(1, scene.at(1).held_by(1));
  CHECK_FALSE(try_take(scene.pool, claim_of(run, 12 * kMiB), kLane, PeerId{2}));
  CHECK(scene.at(0).phase == Phase::free);
  CHECK(scene.at(1).phase == Phase::held);
  CHECK(scene.at(2).phase == Phase::in_flight);
  CHECK(scene.times() == 1);
}

TEST_CASE("slab give back: a cursor that a peer keeps setting back holds up no claim") {
  Scene scene;
  std::atomic<bool> is_over{false};
  std::thread scribbler([&] {
    while (!is_over.load(std::memory_order_relaxed)) {
      for (auto& cursor : scene.arena.pool().fresh)
        cursor.store(0, std::memory_order_relaxed);
    }
  });
  int claims = 0;
  for (int i = 0; i < 200; ++i) {
    for (const auto bytes : {kMiB / 1024, 8 * kMiB}) {
      if (const auto slab = try_claim(scene.pool, bytes); slab && scene.pool.release(*slab))
        ++claims;
    }
  }
  is_over.store(true, std::memory_order_relaxed);
  scribbler.join();
  CHECK(claims > 0);
}
