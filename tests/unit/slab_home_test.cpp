// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/mem/census.hpp"
#include "mews/mem/reclaim.hpp"
#include "mews/mem/slab_pool.hpp"

namespace {

using mews::ClassId;
using mews::LaneId;
using mews::PeerId;
using mews::mem::Slab;
using mews::mem::SlabPool;
using namespace mews_test;

std::vector<Slab> claim(SlabPool& pool, ClassId id, std::uint32_t count) {
  std::vector<Slab> slabs;
  while (slabs.size() < count)
    slabs.push_back(claim_one(pool, id).value());
  return slabs;
}

/// The slabs that a flow of `claims` uses of which each is released at once.
std::vector<std::uint32_t> flow(SlabPool& pool, ClassId id, std::uint32_t claims) {
  std::vector<std::uint32_t> indices;
  for (std::uint32_t i = 0; i < claims; ++i) {
    const auto slab = claim_one(pool, id).value();
    indices.push_back(slab.first.value());
    pool.release(slab);
  }
  return indices;
}

/// The same, of which each is written.
std::vector<std::uint32_t> written_flow(SlabPool& pool, ClassId id, std::uint32_t claims) {
  std::vector<std::uint32_t> indices;
  for (std::uint32_t i = 0; i < claims; ++i) {
    const auto slab = claim_one(pool, id).value();
    indices.push_back(slab.first.value());
    for (int pass = 0; pass < 4; ++pass)
      std::memset(slab.data, static_cast<int>(i), pool.arena().view(id).geometry.slab_bytes);
    pool.release(slab);
  }
  return indices;
}

std::size_t distinct(const std::vector<std::uint32_t>& indices) {
  return std::set<std::uint32_t>(indices.begin(), indices.end()).size();
}

std::uint32_t fresh_chunks(const mews::mem::Arena& arena, ClassId id) {
  return arena.pool().fresh[id.value()].load(std::memory_order_relaxed);
}

std::uint32_t owner(const mews::mem::Arena& arena, ClassId id, std::uint32_t chunk) {
  return arena.view(id).owners[chunk].load(std::memory_order_relaxed);
}

void forget_hints(const mews::mem::Arena& arena, ClassId id) {
  const auto& view = arena.view(id);
  for (std::uint32_t w = 0; w < (view.geometry.chunk_count + 63) / 64; ++w) {
    view.hints[w].store(0, std::memory_order_relaxed);
  }
}

}  // namespace

TEST_CASE(
    "slab home: a flow with one slab out at a time keeps to one, or to a page of small ones") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  CHECK(distinct(flow(pool, k64KiB, 20)) == 1);
  CHECK(distinct(flow(pool, kKiB, 100'000)) == 4);
}

TEST_CASE("slab home: a slow flow never takes more slabs than it has out at once") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto held = claim(pool, k64KiB, 2);
  for (const auto& slab : held)
    pool.release(slab);
  // A mebibyte in more than 4 ms is less than 256 MB/s.
  std::vector<std::uint32_t> indices;
  for (int i = 0; i < 8; ++i) {
    for (const auto index : flow(pool, k64KiB, 16))
      indices.push_back(index);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(distinct(indices) == 2);
}

TEST_CASE("slab home: bulk comes to turn through the whole chunk, and not beyond it") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  std::size_t turns = 0;
  for (int i = 0; i < 2000 && turns < 64; ++i)
    turns = distinct(written_flow(pool, k64KiB, 64));
  CHECK(turns == 64);
  CHECK(distinct(written_flow(pool, k64KiB, 1000)) == 64);
  CHECK(fresh_chunks(arena, k64KiB) == 1);
}

TEST_CASE("slab home: bulk that fills less than half of its slabs gets no pages for all of them") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  for (int i = 0; i < 1000; ++i) {
    const auto slab = try_claim(pool, 20'000).value();
    std::memset(slab.data, 1, 20'000);
    pool.release(slab);
  }
  CHECK(audit(arena).classes[k64KiB.value()].backed_bytes == 24 * 1024);
}

TEST_CASE("slab home: small slabs that a need has brought make no later claim ask for pages") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto turn = [&] {
    for (const auto& slab : claim(pool, kKiB, 300))
      REQUIRE(pool.release(slab));
  };
  turn();
  // Those that are warm, but were not used yet, are noted in their truth words at their first use.
  turn();
  turn();
  CHECK(audit(arena).classes[kKiB.value()].backed_bytes == 512 * 1024);
  const auto resident = arena.file().resident_bytes().value();
  for (int i = 0; i < 1000; ++i) {
    Slab slab;
    REQUIRE(pool.try_claim_fast(slab, 1024));
    REQUIRE(pool.release(slab));
  }
  CHECK(arena.file().resident_bytes().value() == resident);
}

TEST_CASE("slab home: large classes use the lowest free slab again") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  CHECK(distinct(flow(pool, k4MiB, 100)) == 1);
  const auto held = claim(pool, k4MiB, 4);
  for (std::uint32_t i = 0; i < 4; ++i)
    CHECK(held[i].first.value() == i);
  CHECK(pool.release(held[2]));
  CHECK(pool.release(held[1]));
  CHECK(claim_one(pool, k4MiB).value().first.value() == 1);
  CHECK(claim_one(pool, k4MiB).value().first.value() == 2);
  CHECK(claim_one(pool, k4MiB).value().first.value() == 4);
}

TEST_CASE("slab home: with many large slabs on their way the one freed first is claimed next") {
  // With and without one that has no pages yet, which stays so.
  for (const std::uint32_t slabs : {11U, 10U}) {
    const auto arena = make_arena({.classes = {{std::uint64_t{4} << 20, slabs}}});
    constexpr ClassId kLarge{0};
    SlabPool pool(arena, PeerId{1});
    auto held = claim(pool, kLarge, 10);
    for (std::uint32_t i = 0; i < 200; ++i) {
      CHECK(pool.release(held[i % 10]));
      held[i % 10] = claim_one(pool, kLarge).value();
      CHECK(held[i % 10].first.value() == i % 10);
    }
    if (slabs > 10) CHECK(truth(arena, kLarge, 10).generation == 0);
    for (const auto& slab : held)
      CHECK(pool.release(slab));
    // Back to the lowest one, after so many turns.
    static_cast<void>(flow(pool, kLarge, 40));
    CHECK(distinct(flow(pool, kLarge, 100)) == 1);
  }
}

TEST_CASE("slab home: pages got ahead of need do not count for a slab that another peer holds") {
  // It may be about to give them back.
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const mews::layout::TruthWord held{
      .phase = mews::layout::Phase::held, .holder = 2, .generation = 1};
  arena.view(kKiB).words[6].store(held.pack(), std::memory_order_relaxed);
  static_cast<void>(claim(pool, kKiB, 5));
  const auto known = [&](std::uint32_t slab) {
    return arena.view(kKiB).backing[slab].load(std::memory_order_relaxed);
  };
  CHECK(known(5) == mews::mem::kAheadSlab);
  CHECK(known(6) == mews::mem::kOpenSlab);
  CHECK(known(7) == mews::mem::kAheadSlab);
}

TEST_CASE("slab home: two peers take slabs from chunks of their own") {
  const auto arena = make_arena();
  SlabPool one(arena, PeerId{1});
  SlabPool two(arena, PeerId{2});
  for (const auto& slab : claim(one, kKiB, 100))
    CHECK(slab.first.value() / 512 == 0);
  for (const auto& slab : claim(two, kKiB, 100))
    CHECK(slab.first.value() / 512 == 1);
  CHECK(owner(arena, kKiB, 0) == 2);
  CHECK(owner(arena, kKiB, 1) == 3);
}

TEST_CASE("slab home: a slab that another peer frees is taken again by the peer whose home it is") {
  const auto arena = make_arena();
  SlabPool sender(arena, PeerId{1});
  SlabPool receiver(arena, PeerId{2});
  for (int round = 0; round < 3; ++round) {
    for (auto& slab : claim(sender, kKiB, 512)) {
      REQUIRE(sender.mark_in_flight(slab, LaneId{0}));
      const auto got = try_accept(receiver,
                                  {.size_class = 0,
                                   .index = slab.first.value(),
                                   .generation = truth(arena, kKiB, slab.first.value()).generation,
                                   .bytes = 0},
                                  LaneId{0}, PeerId{1});
      REQUIRE(got);
      REQUIRE(receiver.release(*got));
    }
  }
  CHECK(fresh_chunks(arena, kKiB) == 1);
}

TEST_CASE("slab home: a peer goes on to the next chunk only when its own are full") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto first = claim(pool, kKiB, 512);
  CHECK(fresh_chunks(arena, kKiB) == 1);
  const auto second = claim(pool, kKiB, 10);
  CHECK(fresh_chunks(arena, kKiB) == 2);
  for (const auto& slab : first)
    REQUIRE(pool.release(slab));
  static_cast<void>(claim(pool, kKiB, 1024 - 10));
  CHECK(fresh_chunks(arena, kKiB) == 2);
}

TEST_CASE("slab home: a peer whose chunks are full takes single slabs of others' chunks") {
  const auto arena = make_arena();
  SlabPool one(arena, PeerId{1});
  SlabPool two(arena, PeerId{2});
  auto held = claim(one, kKiB, 1030);
  CHECK_FALSE(claim_one(two, kKiB));
  CHECK(one.release(held[700]));
  const auto stolen = claim_one(two, kKiB);
  REQUIRE(stolen);
  CHECK(stolen->first == held[700].first);
  CHECK(owner(arena, kKiB, 1) == 2);
}

TEST_CASE("slab home: a slab whose hint was lost is found before the class is called exhausted") {
  const auto arena = make_arena();
  SlabPool one(arena, PeerId{1});
  SlabPool two(arena, PeerId{2});
  const auto held = claim(one, kKiB, 1030);
  for (const std::size_t lost : {0U, 511U, 512U, 1029U}) {
    CHECK(one.release(held[lost]));
    forget_hints(arena, kKiB);
    const auto found = claim_one(two, kKiB);
    REQUIRE(found);
    CHECK(found->first == held[lost].first);
    forget_hints(arena, kKiB);
    CHECK_FALSE(claim_one(two, kKiB));
  }
}

TEST_CASE("slab home: hints that name chunks which do not exist do no harm") {
  const auto arena = make_arena();
  SlabPool one(arena, PeerId{1});
  SlabPool two(arena, PeerId{2});
  const auto set_all = [&] {
    arena.view(kKiB).hints[0].store(~std::uint64_t{0}, std::memory_order_relaxed);
  };
  set_all();
  static_cast<void>(claim(one, kKiB, 515));
  set_all();
  const auto rest = claim(two, kKiB, 515);
  for (const auto& slab : rest)
    CHECK(slab.first.value() < 1030);
  set_all();
  CHECK_FALSE(claim_one(one, kKiB));
  CHECK_FALSE(claim_one(two, kKiB));
}

TEST_CASE("slab home: a cursor beyond the class does no harm") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  for (const auto id : {kKiB, k16KiB, k64KiB, k4MiB}) {
    arena.pool().fresh[id.value()].store(~0U, std::memory_order_relaxed);
    const auto count = arena.view(id).geometry.slab_count;
    for (const auto& slab : claim(pool, id, count))
      CHECK(slab.first.value() < count);
    CHECK_FALSE(claim_one(pool, id));
  }
}

TEST_CASE("slab home: the chunks of a dead peer are adopted before new memory is touched") {
  const auto arena = make_arena();
  SlabPool dead(arena, PeerId{1});
  static_cast<void>(claim(dead, kKiB, 600));
  CHECK(fresh_chunks(arena, kKiB) == 2);
  const auto done = mews::mem::reclaim(
      arena, {.peer = PeerId{1}, .from_it = LaneId{0}, .to_it = LaneId{1}, .published = {}});
  CHECK(done.chunks == 2);
  CHECK((owner(arena, kKiB, 0) == 0 && owner(arena, kKiB, 1) == 0));

  SlabPool heir(arena, PeerId{2});
  for (const auto& slab : claim(heir, kKiB, 1024))
    CHECK(slab.first.value() < 1024);
  CHECK(fresh_chunks(arena, kKiB) == 2);
  CHECK((owner(arena, kKiB, 0) == 3 && owner(arena, kKiB, 1) == 3));
}
