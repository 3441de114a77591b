// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "layout/geometry_rules.hpp"
#include "mews/layout/geometry.hpp"

namespace {

using namespace mews::layout;
using Catch::Matchers::ContainsSubstring;
using Kind = GeometryFault::Kind;

constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();

/// A header as its creator leaves it, in private memory, and what it describes.
struct Written {
  Geometry geometry = mews_test::plan({}).geometry;
  ArenaHeader header{};

  Written() {
    geometry.host_pid = 4711;
    geometry.host_start_time = 12345678;
    geometry.arena_id[1] = 99;
    write_header(geometry, header.fields);
    header.ready.store(kReady, std::memory_order_relaxed);
  }
  [[nodiscard]] GeometryCheck read() const { return read_geometry(header, geometry.arena_bytes); }
};

/// What reading says after `change` was made to the header; the checksum is made right again, so
/// that each rule is seen to hold by itself.
GeometryFault fault_after(const std::function<void(HeaderFields&)>& change) {
  Written written;
  change(written.header.fields);
  written.header.fields.checksum = checksum_of(written.header.fields);
  const auto check = written.read();
  return check.fault.value_or(GeometryFault{Kind::not_ready, "no fault"});
}

struct Damage {
  std::string sentence;
  std::function<void(HeaderFields&)> change;
};

void check_each(const std::vector<Damage>& damages) {
  for (const auto& damage : damages) {
    const auto fault = fault_after(damage.change);
    CHECK_THAT(fault.sentence, ContainsSubstring(damage.sentence));
    CHECK(fault.kind == Kind::bad_field);
  }
}

struct OffsetField {
  std::string name;
  std::uint64_t* (*in)(HeaderFields&);
};

/// One of each kind.
std::vector<OffsetField> offsets() {
  return {
      {"seats_offset", [](HeaderFields& h) { return &h.seats_offset; }},
      {"pool_offset", [](HeaderFields& h) { return &h.pool_offset; }},
      {"cells_offset", [](HeaderFields& h) { return &h.cells_offset; }},
      {"classes[1].words_offset", [](HeaderFields& h) { return &h.classes[1].words_offset; }},
      {"classes[1].owners_offset", [](HeaderFields& h) { return &h.classes[1].owners_offset; }},
      {"classes[2].hints_offset", [](HeaderFields& h) { return &h.classes[2].hints_offset; }},
      {"classes[3].slabs_offset", [](HeaderFields& h) { return &h.classes[3].slabs_offset; }},
  };
}

}  // namespace

TEST_CASE("geometry: what was planned and written is what is read") {
  const Written written;
  const auto check = written.read();
  REQUIRE_FALSE(check.fault);
  const auto& a = written.geometry;
  const auto& b = check.geometry;
  CHECK((a.arena_id[0] == b.arena_id[0] && a.arena_id[1] == b.arena_id[1]));
  CHECK(a.arena_bytes == b.arena_bytes);
  CHECK((a.peer_capacity == b.peer_capacity && a.ring_cells == b.ring_cells));
  CHECK((a.class_count == b.class_count && a.fallback_classes == b.fallback_classes));
  CHECK((a.host_pid == b.host_pid && a.host_start_time == b.host_start_time));
  CHECK(a.seats_offset == b.seats_offset);
  CHECK((a.pool_offset == b.pool_offset && a.cells_offset == b.cells_offset));
  for (std::size_t i = 0; i < kMaxClasses; ++i) {
    CHECK(std::memcmp(&a.classes[i], &b.classes[i], sizeof a.classes[i]) == 0);
  }
}

TEST_CASE("geometry: memory that is something else is no arena") {
  const auto fault = fault_after([](HeaderFields& h) { h.magic ^= 1; });
  CHECK(fault.kind == Kind::not_an_arena);
  CHECK_THAT(fault.sentence, ContainsSubstring("magic is 0x"));
}

TEST_CASE("geometry: another major layout version is refused, another minor one is not") {
  const auto fault = fault_after([](HeaderFields& h) {
    h.layout_major = kLayoutMajor + 1;
    h.layout_minor = 7;
  });
  CHECK(fault.kind == Kind::version);
  CHECK_THAT(fault.sentence,
             ContainsSubstring("layout " + std::to_string(kLayoutMajor + 1) + ".7,"));
  CHECK(fault_after([](HeaderFields& h) { h.layout_minor += 7; }).sentence == "no fault");
}

TEST_CASE("geometry: zeroes are an arena that is still being made") {
  const auto header = std::make_unique<ArenaHeader>();
  const auto check = read_geometry(*header, 1 << 20);
  REQUIRE(check.fault);
  CHECK(check.fault->kind == Kind::not_ready);
}

TEST_CASE("geometry: a written header without the ready word is not ready") {
  for (const std::uint32_t word : {0U, 1U, ~0U}) {
    Written written;
    written.header.ready.store(word, std::memory_order_relaxed);
    const auto check = written.read();
    REQUIRE(check.fault);
    CHECK(check.fault->kind == Kind::not_ready);
    CHECK_THAT(check.fault->sentence, ContainsSubstring("ready"));
  }
}

TEST_CASE("geometry: a truncated arena is refused by its size") {
  const Written written;
  for (const auto bytes : {written.geometry.arena_bytes - kPageBytes,
                           written.geometry.arena_bytes + kPageBytes, sizeof(ArenaHeader)}) {
    const auto check = read_geometry(written.header, bytes);
    REQUIRE(check.fault);
    CHECK(check.fault->kind == Kind::bad_field);
    CHECK_THAT(check.fault->sentence, ContainsSubstring("arena_bytes is"));
    CHECK_THAT(check.fault->sentence, ContainsSubstring("truncated"));
  }
}

TEST_CASE("geometry: each impossible count is refused by a sentence that names it") {
  check_each({
      {"peer_capacity is 0", [](HeaderFields& h) { h.peer_capacity = 0; }},
      {"peer_capacity is 4097", [](HeaderFields& h) { h.peer_capacity = kMaxPeers + 1; }},
      {"ring_cells is 0", [](HeaderFields& h) { h.ring_cells = 0; }},
      {"ring_cells is 48", [](HeaderFields& h) { h.ring_cells = 48; }},
      {"class_count is 0", [](HeaderFields& h) { h.class_count = 0; }},
      {"class_count is 17", [](HeaderFields& h) { h.class_count = 17; }},
      {"class_count is 4294967295", [](HeaderFields& h) { h.class_count = ~0U; }},
      {"fallback_classes is 17", [](HeaderFields& h) { h.fallback_classes = 17; }},
      {"classes[0].slab_bytes is 1000", [](HeaderFields& h) { h.classes[0].slab_bytes = 1000; }},
      {"classes[2].slab_bytes is 0", [](HeaderFields& h) { h.classes[2].slab_bytes = 0; }},
      {"classes[2].slab_bytes is 1024, not above",
       [](HeaderFields& h) { h.classes[2].slab_bytes = 1024; }},
      {"classes[1].slab_count is 0", [](HeaderFields& h) { h.classes[1].slab_count = 0; }},
      {"classes[1].slab_count is 4294967295",
       [](HeaderFields& h) { h.classes[1].slab_count = ~0U; }},
      {"classes[3].chunk_slabs is 0", [](HeaderFields& h) { h.classes[3].chunk_slabs = 0; }},
      {"classes[3].chunk_slabs is 3", [](HeaderFields& h) { h.classes[3].chunk_slabs = 3; }},
      {"classes[3].chunk_slabs is 2147483648",
       [](HeaderFields& h) { h.classes[3].chunk_slabs = 1U << 31; }},
  });
}

TEST_CASE("geometry: every offset outside the arena is refused by name") {
  const auto arena_bytes = Written{}.geometry.arena_bytes;
  for (const auto& field : offsets()) {
    for (const auto bad : {arena_bytes, 2 * arena_bytes, std::uint64_t{1} << 63}) {
      const auto fault = fault_after([&](HeaderFields& h) { *field.in(h) = bad; });
      CHECK(fault.kind == Kind::bad_field);
      CHECK_THAT(fault.sentence, ContainsSubstring(field.name + " is " + std::to_string(bad)));
      CHECK_THAT(fault.sentence, ContainsSubstring("lies outside arena_bytes"));
    }
  }
}

TEST_CASE("geometry: every offset whose range would wrap is refused by name, as an overflow") {
  for (const auto& field : offsets()) {
    for (const auto bad : {kHuge, kHuge - 3}) {
      const auto fault = fault_after([&](HeaderFields& h) { *field.in(h) = bad; });
      CHECK(fault.kind == Kind::bad_field);
      CHECK_THAT(fault.sentence, ContainsSubstring(field.name + " is " + std::to_string(bad)));
      CHECK_THAT(fault.sentence, ContainsSubstring("overflows 64 bits"));
    }
  }
}

TEST_CASE("geometry: the largest counts in a small arena lie outside") {
  const auto fault = fault_after([](HeaderFields& h) {
    h.classes[3].slab_bytes = kMaxSlabBytes;
    h.classes[3].slab_count = kMaxSlabsPerClass;
  });
  CHECK_THAT(fault.sentence, ContainsSubstring("classes[3]"));
  CHECK_THAT(fault.sentence, ContainsSubstring("lies outside arena_bytes"));
}

TEST_CASE("geometry: every misaligned offset is refused by name") {
  for (const auto& field : offsets()) {
    const auto fault = fault_after([&](HeaderFields& h) { *field.in(h) -= 8; });
    CHECK_THAT(fault.sentence, ContainsSubstring(field.name + " is "));
    CHECK_THAT(fault.sentence, ContainsSubstring("not a multiple of"));
  }
}

TEST_CASE("geometry: every range that overlaps another is refused by name") {
  for (const auto& field : offsets()) {
    // Aligned and inside, but on top of the header.
    const auto fault = fault_after([&](HeaderFields& h) { *field.in(h) = 0; });
    CHECK_THAT(fault.sentence, ContainsSubstring("overlaps"));
    CHECK_THAT(fault.sentence, ContainsSubstring(field.name));
  }
  const auto fault = fault_after([](HeaderFields& h) { h.pool_offset = h.seats_offset + 128; });
  CHECK_THAT(fault.sentence, ContainsSubstring("pool_offset overlaps seats_offset"));
}

TEST_CASE("geometry: an arena without an id is refused by name") {
  const auto fault = fault_after([](HeaderFields& h) { h.arena_id[0] = h.arena_id[1] = 0; });
  CHECK(fault.sentence == "arena_id is zero");
}

TEST_CASE("geometry: any changed byte that no other rule sees breaks the checksum") {
  for (std::size_t at = 0; at < kChecksummedBytes + sizeof(std::uint64_t); ++at) {
    Written written;
    reinterpret_cast<unsigned char*>(&written.header.fields)[at] ^= 0x40;
    if (!written.read().fault) FAIL("byte " << at << " may be changed unnoticed");
  }
  Written written;
  written.header.fields.host_pid ^= 1;
  REQUIRE(written.read().fault);
  CHECK_THAT(written.read().fault->sentence, ContainsSubstring("checksum is 0x"));
}
