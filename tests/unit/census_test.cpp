// SPDX-License-Identifier: MIT
#include <cstdint>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/mem/census.hpp"
#include "mews/mem/slab_pool.hpp"

namespace {

using mews::LaneId;
using mews::PeerId;
using mews::layout::Phase;
using mews::mem::Census;
using mews::mem::Slab;
using mews::mem::SlabPool;
using namespace mews_test;

std::vector<Slab> claim(SlabPool& pool, std::uint64_t bytes, int count) {
  std::vector<Slab> slabs;
  for (int i = 0; i < count; ++i)
    slabs.push_back(try_claim(pool, bytes).value());
  return slabs;
}

}  // namespace

TEST_CASE("census: it names the holders of a class and their numbers of slabs, most first") {
  const auto arena = make_arena();
  SlabPool one(arena, PeerId{1});
  SlabPool two(arena, PeerId{2});
  static_cast<void>(claim(one, 100, 2));
  auto held = claim(two, 100, 5);
  REQUIRE(two.mark_in_flight(held[0], LaneId{2}));
  static_cast<void>(claim(one, 20000, 9));  // another class
  const auto holdings = Census(arena, kKiB).holdings();
  REQUIRE(holdings.size() == 2);
  CHECK((holdings[0].peer == PeerId{2} && holdings[0].held == 4 && holdings[0].in_flight == 1));
  CHECK((holdings[1].peer == PeerId{1} && holdings[1].held == 2 && holdings[1].in_flight == 0));
}

TEST_CASE("census: it tells what has not moved since it began") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  auto held = claim(pool, 100, 4);
  const Census census(arena, kKiB);
  CHECK(pool.release(held[0]));
  REQUIRE(pool.mark_in_flight(held[1], LaneId{0}));
  static_cast<void>(claim(pool, 100, 3));
  const auto holdings = census.holdings();
  REQUIRE(holdings.size() == 1);
  CHECK((holdings[0].held == 5 && holdings[0].in_flight == 1 && holdings[0].unchanged == 2));
}

TEST_CASE("census: a slab that was freed and claimed again has moved") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto before = claim_one(pool, k4MiB).value();
  const Census census(arena, k4MiB);
  CHECK(pool.release(before));
  REQUIRE(claim_one(pool, k4MiB));
  CHECK(census.holdings().at(0).unchanged == 0);
}

TEST_CASE("census: a class that nobody uses has no holders") {
  const auto arena = make_arena();
  CHECK(Census(arena, kKiB).holdings().empty());
}

TEST_CASE("audit: a fresh arena is all free and nothing of it was ever used") {
  const auto arena = make_arena();
  const auto seen = audit(arena);
  CHECK(seen.is_all_free());
  CHECK(seen.peers.empty());
  REQUIRE(seen.classes.size() == 4);
  for (std::uint32_t i = 0; i < 4; ++i) {
    CHECK(seen.classes[i].slabs == arena.view(mews::ClassId{i}).geometry.slab_count);
    CHECK(seen.classes[i].slab_bytes == arena.view(mews::ClassId{i}).geometry.slab_bytes);
    CHECK(seen.classes[i].backed_bytes == 0);
  }
}

TEST_CASE("audit: it counts held, in flight and backed slabs, by class and by peer") {
  const auto arena = make_arena();
  SlabPool one(arena, PeerId{1});
  SlabPool two(arena, PeerId{2});
  auto small = claim(one, 1024, 3);
  static_cast<void>(claim(two, std::uint64_t{9} << 20, 1));
  REQUIRE(one.mark_in_flight(small[2], LaneId{0}));
  const auto seen = audit(arena);
  CHECK_FALSE(seen.is_all_free());
  CHECK((seen.classes[0].held == 2 && seen.classes[0].in_flight == 1));
  CHECK(seen.classes[0].backed_bytes == 3072);
  CHECK(seen.classes[3].held == 3);
  REQUIRE(seen.peers.size() == 2);
  CHECK((seen.peers[0].peer == PeerId{1} && seen.peers[0].held == 2));
  CHECK((seen.peers[0].in_flight == 1 && seen.peers[1].held == 3));
}

TEST_CASE("audit: words that no transition can produce are counted as bad") {
  using mews::layout::TruthWord;
  const TruthWord nonsense[] = {
      {.phase = static_cast<Phase>(3), .generation = 1},
      {.phase = static_cast<Phase>(7)},
      {.phase = Phase::free, .holder = 1},
      {.phase = Phase::free, .lane = 1},
      {.phase = Phase::free, .backed_eighths = 9},
      {.phase = Phase::held, .holder = 4, .generation = 1},
      {.phase = Phase::held, .holder = 1, .lane = 1, .generation = 1},
      {.phase = Phase::held, .holder = 1},
      {.phase = Phase::in_flight, .holder = 4, .lane = 1, .generation = 1},
      {.phase = Phase::in_flight, .holder = 1, .lane = 6, .generation = 1},
  };
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto slab = claim_one(pool, kKiB).value();
  for (const auto& word : nonsense) {
    INFO(word.pack());
    arena.view(kKiB).words[slab.first.value()].store(word.pack(), std::memory_order_relaxed);
    const auto seen = audit(arena);
    CHECK(seen.classes[0].bad == 1);
    CHECK_FALSE(seen.is_all_free());
    CHECK(seen.peers.empty());
  }
}

TEST_CASE("audit: whether a peer holds anything is seen in every class") {
  const auto arena = make_arena();
  SlabPool one(arena, PeerId{1});
  for (const std::uint64_t bytes : {100U, 10000U, 60000U, 1U << 20}) {
    auto slab = try_claim(one, bytes).value();
    CHECK(holds_any(arena, PeerId{1}));
    CHECK_FALSE(holds_any(arena, PeerId{2}));
    REQUIRE(one.mark_in_flight(slab, LaneId{0}));
    CHECK_FALSE(holds_any(arena, PeerId{1}));
  }
}
