// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/mem/census.hpp"
#include "mews/mem/slab_pool.hpp"

namespace {

using mews::ClassId;
using mews::ErrorCode;
using mews::PeerId;
using mews::layout::Phase;
using mews::mem::Slab;
using mews::mem::SlabPool;
using namespace mews_test;

std::vector<Slab> claim_all(SlabPool& pool, ClassId id) {
  std::vector<Slab> slabs;
  while (auto slab = claim_one(pool, id))
    slabs.push_back(*slab);
  return slabs;
}

}  // namespace

TEST_CASE("slab pool: a request gets the smallest class that fits") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const std::pair<std::uint64_t, ClassId> wishes[] = {
      {1, kKiB},       {1023, kKiB},    {1024, kKiB},   {1025, k16KiB},  {16384, k16KiB},
      {16385, k64KiB}, {65536, k64KiB}, {65537, k4MiB}, {4 << 20, k4MiB}};
  for (const auto& [bytes, id] : wishes) {
    const auto slab = try_claim(pool, bytes);
    REQUIRE(slab);
    CHECK(slab->size_class == id);
    CHECK(slab->count == 1);
    CHECK(capacity_bytes(arena, *slab) == arena.view(id).geometry.slab_bytes);
    CHECK(pool.release(*slab));
  }
  CHECK(audit(arena).is_all_free());
}

TEST_CASE("slab pool: a claimed slab is held by its claimer and nobody else's word changes") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{3});
  const auto slab = try_claim(pool, 100);
  REQUIRE(slab);
  const auto word = truth(arena, kKiB, slab->first.value());
  CHECK((word.phase == Phase::held && word.holder == 3 && word.generation == 1));
  CHECK(word.pack() == slab->word);
  const auto seen = audit(arena);
  CHECK(seen.classes[0].held == 1);
  REQUIRE(seen.peers.size() == 1);
  CHECK(seen.peers[0].peer == PeerId{3});
}

TEST_CASE("slab pool: a slab's memory is its own, aligned, and writable to its last byte") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  std::vector<Slab> slabs;
  for (const std::uint64_t bytes :
       {1024U, 1024U, 16384U, 16384U, 65536U, 65536U, 4U << 20, 4U << 20}) {
    slabs.push_back(try_claim(pool, bytes).value());
    const auto align = std::min<std::uint64_t>(capacity_bytes(arena, slabs.back()), 4096);
    CHECK(reinterpret_cast<std::uintptr_t>(slabs.back().data) % align == 0);
    std::memset(slabs.back().data, static_cast<int>(slabs.size()),
                capacity_bytes(arena, slabs.back()));
  }
  for (std::size_t i = 0; i < slabs.size(); ++i) {
    CHECK(std::all_of(slabs[i].data, slabs[i].data + capacity_bytes(arena, slabs[i]),
                      [i](std::byte b) { return b == static_cast<std::byte>(i + 1); }));
    CHECK(pool.release(slabs[i]));
  }
}

TEST_CASE("slab pool: every class gives out each of its slabs once, and then says no") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  for (std::uint32_t c = 0; c < arena.class_count(); ++c) {
    INFO("class " << c);
    const auto& row = arena.view(ClassId{c}).geometry;
    auto slabs = claim_all(pool, ClassId{c});
    std::set<std::uint32_t> indices;
    for (const auto& slab : slabs) {
      indices.insert(slab.first.value());
      CHECK(slab.data == arena.view(ClassId{c}).slabs + slab.first.value() * row.slab_bytes);
    }
    CHECK(slabs.size() == row.slab_count);
    CHECK(indices.size() == row.slab_count);
    CHECK(*indices.rbegin() == row.slab_count - 1);
    CHECK_FALSE(claim_one(pool, ClassId{c}));

    const auto& freed = slabs[slabs.size() / 2];
    CHECK(pool.release(freed));
    const auto again = claim_one(pool, ClassId{c});
    REQUIRE(again);
    CHECK(again->first == freed.first);
    CHECK_FALSE(claim_one(pool, ClassId{c}));
  }
}

TEST_CASE("slab pool: an exhausted class falls back, but only as far as the arena allows") {
  for (const std::uint32_t fallback : {0U, 1U, 2U, 16U}) {
    INFO("fallback of " << fallback << " classes");
    const auto arena = make_arena({.fallback_classes = fallback});
    SlabPool pool(arena, PeerId{1});
    const auto classes = std::min(fallback, 3U) + 1;
    for (std::uint32_t c = 0; c < classes; ++c) {
      INFO("class " << c);
      for (auto left = arena.view(ClassId{c}).geometry.slab_count; left > 0; --left) {
        const auto slab = try_claim(pool, 1000);
        REQUIRE(slab);
        REQUIRE(slab->size_class == ClassId{c});
      }
    }
    const auto refused = try_claim(pool, 1000);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == ErrorCode::no_slab);
  }
}

TEST_CASE("slab pool: a payload that no run can hold is too large, not a matter of waiting") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto largest = arena.geometry().max_payload_bytes();
  for (const auto bytes : {largest + 1, ~std::uint64_t{0}}) {
    const auto refused = try_claim(pool, bytes);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == ErrorCode::payload_too_large);
    CHECK_FALSE(refused.error().detail().empty());
  }
  CHECK(audit(arena).is_all_free());
}

TEST_CASE("slab pool: each claim of a slab has the next generation") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  for (std::uint32_t generation = 1; generation < 5; ++generation) {
    const auto slab = claim_one(pool, k4MiB);
    REQUIRE(slab);
    CHECK(slab->first.value() == 0);
    CHECK(truth(arena, k4MiB, 0).generation == generation);
    CHECK(pool.release(*slab));
    CHECK(truth(arena, k4MiB, 0).generation == generation);
  }
}

TEST_CASE("slab pool: a second release is refused, even after the slab was given out again") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto slab = claim_one(pool, k4MiB);
  REQUIRE(slab);
  CHECK(pool.release(*slab));
  CHECK_FALSE(pool.release(*slab));
  const auto again = claim_one(pool, k4MiB);
  REQUIRE(again);
  CHECK(again->first == slab->first);
  CHECK_FALSE(pool.release(*slab));
  CHECK(truth(arena, k4MiB, 0).phase == Phase::held);
  CHECK(pool.release(*again));
}

TEST_CASE("slab pool: a small slab has pages behind the whole of it at once") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto slab = try_claim(pool, 4097).value();
  REQUIRE(slab.size_class == k16KiB);
  CHECK(truth(arena, k16KiB, slab.first.value()).backed_eighths == 8);
  const auto large = try_claim(pool, 16385).value();
  REQUIRE(large.size_class == k64KiB);
  CHECK(truth(arena, k64KiB, large.first.value()).backed_eighths == 3);
}

TEST_CASE("slab pool: pages are put behind as much of a slab as was asked for") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  auto slab = try_claim(pool, (std::uint64_t{1} << 19) + 1).value();
  CHECK(truth(arena, k4MiB, 0).backed_eighths == 2);
  REQUIRE(pool.back(slab, 100));
  CHECK(truth(arena, k4MiB, 0).backed_eighths == 2);
  REQUIRE(pool.back(slab, capacity_bytes(arena, slab)));
  CHECK(truth(arena, k4MiB, 0).backed_eighths == 8);
  CHECK(audit(arena).classes[3].backed_bytes == std::uint64_t{4} << 20);
  CHECK(pool.release(slab));
  CHECK(truth(arena, k4MiB, 0).backed_eighths == 8);
}
