// SPDX-License-Identifier: MIT
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/layout/geometry.hpp"

namespace {

using namespace mews::layout;
using Catch::Matchers::ContainsSubstring;
using mews_test::ArenaSpec;

/// The sentence with which a plan is refused; empty when it is not.
std::string refusal(const ArenaSpec& spec) {
  const auto check = mews_test::plan(spec);
  if (!check.fault) return {};
  CHECK(check.fault->kind == GeometryFault::Kind::bad_field);
  return check.fault->sentence;
}

}  // namespace

TEST_CASE("geometry: a plan lays every part out within the arena, in the order of the diagram") {
  const auto check = mews_test::plan({});
  REQUIRE_FALSE(check.fault);
  const auto& g = check.geometry;
  std::uint64_t end = kPageBytes;
  const auto follows = [&](std::uint64_t offset, std::uint64_t bytes) {
    CHECK(offset >= end);
    end = offset + bytes;
  };
  follows(g.seats_offset, g.peer_capacity * kPageBytes);
  follows(g.pool_offset, 256);
  for (std::uint32_t i = 0; i < g.class_count; ++i) {
    const auto& row = g.classes[i];
    CHECK(row.chunk_slabs == 1U << row.chunk_shift);
    CHECK(std::uint64_t{row.chunk_count} * row.chunk_slabs >= row.slab_count);
    CHECK((std::uint64_t{row.chunk_count} - 1) * row.chunk_slabs < row.slab_count);
    follows(row.words_offset, row.slab_count * (row.slab_bytes < 65536 ? 8U : 64U));
    follows(row.owners_offset, row.chunk_count * 4U);
    follows(row.hints_offset, (row.chunk_count + 63U) / 64 * 8);
  }
  CHECK((g.seats_offset % kPageBytes == 0 && g.cells_offset % kPageBytes == 0));
  follows(g.cells_offset, g.lane_count() * g.lane_cells_bytes());
  for (std::uint32_t i = 0; i < g.class_count; ++i) {
    CHECK(g.classes[i].slabs_offset % kPageBytes == 0);
    follows(g.classes[i].slabs_offset, g.classes[i].slab_count * g.classes[i].slab_bytes);
  }
  CHECK(g.arena_bytes >= end);
  CHECK(g.arena_bytes % kPageBytes == 0);
}

TEST_CASE("geometry: each lane's cells are whole pages, so that they can be protected alone") {
  const auto bytes = [](std::uint32_t cells) {
    return mews_test::plan({.ring_cells = cells}).geometry.lane_cells_bytes();
  };
  CHECK(bytes(32) == kPageBytes);
  CHECK(bytes(64) == kPageBytes);
  CHECK(bytes(1024) == 16 * kPageBytes);
}

TEST_CASE("geometry: chunks are about 4 MiB, of 512 slabs at most unless there are 32 of them") {
  ArenaSpec spec;
  spec.classes = {{64, 4096},
                  {1024, 32 * 1024 - 1},
                  {2048, 32 * 1024},
                  {8192, 4096},
                  {65536, 256},
                  {std::uint64_t{1} << 20, 16},
                  {std::uint64_t{4} << 20, 4},
                  {std::uint64_t{16} << 20, 4}};
  const auto check = mews_test::plan(spec);
  REQUIRE_FALSE(check.fault);
  std::vector<std::uint32_t> chunk_slabs;
  for (std::size_t i = 0; i < spec.classes.size(); ++i) {
    chunk_slabs.push_back(check.geometry.classes[i].chunk_slabs);
  }
  CHECK(chunk_slabs == std::vector<std::uint32_t>{512, 512, 1024, 512, 64, 4, 1, 1});
}

TEST_CASE("geometry: a payload goes to the smallest class that holds it") {
  const auto geometry = mews_test::plan({}).geometry;
  CHECK(geometry.class_for(1) == 0U);
  CHECK(geometry.class_for(1024) == 0U);
  CHECK(geometry.class_for(1025) == 1U);
  CHECK(geometry.class_for(16384) == 1U);
  CHECK(geometry.class_for(std::uint64_t{4} << 20) == 3U);
  CHECK_FALSE(geometry.class_for((std::uint64_t{4} << 20) + 1));
}

TEST_CASE("geometry: the largest payload is a run of all slabs, and at most 2^40 - 1 bytes") {
  CHECK(mews_test::plan({}).geometry.max_payload_bytes() == std::uint64_t{32} << 20);
  ArenaSpec spec;
  spec.classes = {{std::uint64_t{1} << 32, 4096}};
  REQUIRE(refusal(spec).empty());
  CHECK(mews_test::plan(spec).geometry.max_payload_bytes() == kMaxPayloadBytes);
}

TEST_CASE("geometry: a plan with an impossible number of peers is refused by name") {
  for (const std::uint32_t peers : {0U, 1U, kMaxPeers + 1, ~0U}) {
    CHECK_THAT(refusal({.peers = peers}),
               ContainsSubstring("peer_capacity is " + std::to_string(peers)));
  }
  CHECK(refusal({.peers = kMaxPeers}).empty());
  CHECK(refusal({.peers = 2}).empty());
}

TEST_CASE("geometry: a ring of zero cells or of no power of two is refused by name") {
  for (const std::uint32_t cells : {0U, 1U, kMinRingCells / 2, 33U, 1000U, kMaxRingCells * 2}) {
    CHECK_THAT(refusal({.ring_cells = cells}),
               ContainsSubstring("ring_cells is " + std::to_string(cells)));
  }
  CHECK(refusal({.ring_cells = kMinRingCells}).empty());
  CHECK(refusal({.ring_cells = kMaxRingCells}).empty());
}

TEST_CASE("geometry: no class, or more than sixteen, is refused by name") {
  CHECK_THAT(refusal({.classes = {}}), ContainsSubstring("size_classes has no rows"));
  ArenaSpec spec;
  spec.classes.clear();
  for (std::uint64_t bytes = 64; spec.classes.size() < 16; bytes *= 2) {
    spec.classes.push_back({bytes, 1});
  }
  CHECK(refusal(spec).empty());
  spec.classes.push_back({std::uint64_t{1} << 30, 1});
  CHECK_THAT(refusal(spec), ContainsSubstring("size_classes has too many rows"));
  spec.classes.resize(100, {std::uint64_t{1} << 30, 1});
  CHECK_THAT(refusal(spec), ContainsSubstring("size_classes has too many rows"));
}

TEST_CASE("geometry: a class whose slabs are of no usable size is refused by name") {
  for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{32}, std::uint64_t{1000},
                                    kMaxSlabBytes * 2, std::numeric_limits<std::uint64_t>::max()}) {
    CHECK_THAT(refusal({.classes = {{bytes, 4}}}),
               ContainsSubstring("classes[0].slab_bytes is " + std::to_string(bytes)));
  }
}

TEST_CASE("geometry: classes that do not ascend are refused by name") {
  CHECK_THAT(refusal({.classes = {{1024, 4}, {1024, 4}}}),
             ContainsSubstring("classes[1].slab_bytes is 1024, not above"));
  CHECK_THAT(refusal({.classes = {{64, 1}, {4096, 4}, {1024, 4}}}),
             ContainsSubstring("classes[2].slab_bytes is 1024, not above size_classes[1]'s 4096"));
}

TEST_CASE("geometry: a class of no slab, or of more than 2^24, is refused by name") {
  for (const std::uint32_t count : {0U, kMaxSlabsPerClass + 1, ~0U}) {
    CHECK_THAT(refusal({.classes = {{1024, 4}, {4096, count}}}),
               ContainsSubstring("classes[1].slab_count is " + std::to_string(count)));
  }
  CHECK(refusal({.classes = {{1024, kMaxSlabsPerClass}}}).empty());
}

TEST_CASE("geometry: more fallback than there can be classes is refused by name") {
  CHECK(refusal({.fallback_classes = kMaxClasses}).empty());
  CHECK_THAT(refusal({.fallback_classes = kMaxClasses + 1}),
             ContainsSubstring("fallback_classes is 17"));
}

TEST_CASE("geometry: classes that together exceed the address space are refused") {
  CHECK_THAT(refusal({.classes = {{kMaxSlabBytes, kMaxSlabsPerClass}}}),
             ContainsSubstring("64 TiB"));
}
