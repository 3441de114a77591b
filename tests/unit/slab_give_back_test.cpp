// SPDX-License-Identifier: MIT
#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/slab_scene.hpp"
#include "mews/mem/census.hpp"

namespace {

using mews::LaneId;
using mews::PeerId;
using mews::layout::Phase;
using mews::mem::Slab;
using namespace mews_test;

constexpr LaneId kLane{2};

/// The slabs of runs, by their words.
struct Scene : SlabScene {
  [[nodiscard]] int times() const { return told.times[k4MiB.value()]; }
  [[nodiscard]] std::vector<std::uint64_t> words() const {
    std::vector<std::uint64_t> all;
    for (std::uint32_t i = 0; i < 8; ++i)
      all.push_back(truth(arena, k4MiB, i).pack());
    return all;
  }
};

}  // namespace

TEST_CASE("slab give back: what is freed on purpose is told, once a call and of its class") {
  Scene scene;
  const auto small = try_claim(scene.one, 100).value();
  auto run = try_claim(scene.one, 20 * kMiB).value();
  CHECK(scene.told.times == std::array{0, 0, 0, 0});
  CHECK(scene.one.release(small));
  CHECK_FALSE(scene.one.release(small));
  CHECK(scene.told.times == std::array{1, 0, 0, 0});
  CHECK(scene.one.shrink(run, 12 * kMiB));
  CHECK(scene.told.times == std::array{1, 0, 0, 1});
  CHECK(scene.one.release(run));
  CHECK_FALSE(scene.one.release(run));
  CHECK(scene.told.times == std::array{1, 0, 0, 2});
}

TEST_CASE("slab give back: a run that is not to be had takes nothing meanwhile and tells nobody") {
  Scene scene;
  std::vector<Slab> held;
  for (int i = 0; i < 8; ++i)
    held.push_back(claim_one(scene.two, k4MiB).value());
  for (const std::size_t i : {0U, 1U, 3U, 4U, 6U, 7U})
    REQUIRE(scene.two.release(held[i]));
  const auto before = scene.words();
  CHECK_FALSE(try_claim(scene.one, 12 * kMiB));
  CHECK(scene.words() == before);
  CHECK(scene.times() == 0);
}

TEST_CASE("slab give back: a run of which the host freed any slab first is all free, and told") {
  for (std::uint32_t freed = 0; freed < 3; ++freed) {
    INFO("slab " << freed);
    Scene scene;
    auto run = try_claim(scene.one, 12 * kMiB).value();
    REQUIRE(scene.one.mark_in_flight(run, kLane));
    scene.set(run, freed, scene.word(run, freed).freed());
    CHECK_FALSE(scene.one.revoke(run, kLane));
    CHECK(audit(scene.arena).is_all_free());
    CHECK(scene.times() == 1);
  }
}

TEST_CASE(
    "slab give back: a slab that the host freed and another peer claimed since stays that peer's") {
  for (std::uint32_t freed = 0; freed < 3; ++freed) {
    INFO("slab " << freed);
    Scene scene;
    auto run = try_claim(scene.one, 12 * kMiB).value();
    REQUIRE(scene.one.mark_in_flight(run, kLane));
    scene.set(run, freed, scene.word(run, freed).freed());
    const auto since = claim_one(scene.one, k4MiB).value();
    REQUIRE(since.first.value() == freed);
    CHECK_FALSE(scene.one.revoke(run, kLane));
    CHECK(scene.word(since).pack() == since.word);
    CHECK(scene.one.release(since));
    CHECK(audit(scene.arena).is_all_free());
  }
}

TEST_CASE("slab give back: a word that somebody scribbled on does not keep the rest of a run") {
  for (std::uint32_t bad = 0; bad < 3; ++bad) {
    INFO("slab " << bad);
    Scene scene;
    const auto run = try_claim(scene.one, 12 * kMiB).value();
    const auto scribble = scene.word(run, bad).held_by(3);
    scene.set(run, bad, scribble);
    CHECK_FALSE(scene.one.release(run));
    for (std::uint32_t i = 0; i < 3; ++i)
      CHECK(scene.word(run, i).phase == (i == bad ? Phase::held : Phase::free));
    CHECK(scene.word(run, bad) == scribble);
    CHECK(scene.times() == 1);
  }
}

TEST_CASE("slab give back: a run that cannot all be sent is held as before") {
  for (std::uint32_t bad = 0; bad < 3; ++bad) {
    INFO("slab " << bad);
    Scene scene;
    auto run = try_claim(scene.one, 12 * kMiB).value();
    scene.set(run, bad, scene.word(run, bad).held_by(3));
    const auto before = scene.words();
    CHECK_FALSE(scene.one.mark_in_flight(run, kLane));
    CHECK(scene.words() == before);
    CHECK_FALSE(scene.one.release(run));
    CHECK_FALSE(holds_any(scene.arena, PeerId{1}));
  }
}

TEST_CASE("slab give back: a record that also names a slab of the receiver's costs it nothing") {
  Scene scene;
  auto run = try_claim(scene.two, 12 * kMiB).value();
  REQUIRE(scene.two.mark_in_flight(run, kLane));
  scene.set(run, 1, scene.word(run, 1).held_by(1));
  CHECK_FALSE(try_accept(scene.one, claim_of(run, 12 * kMiB), kLane, PeerId{2}));
  CHECK(scene.word(run, 0).phase == Phase::free);
  CHECK(scene.word(run, 1).phase == Phase::held);
  CHECK(scene.word(run, 2).phase == Phase::in_flight);
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
      if (const auto slab = try_claim(scene.one, bytes); slab && scene.one.release(*slab)) ++claims;
    }
  }
  is_over.store(true, std::memory_order_relaxed);
  scribbler.join();
  CHECK(claims == 400);
}
