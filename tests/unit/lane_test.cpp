// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../support/catch.hpp"
#include "../support/lane_fixture.hpp"

namespace {

using namespace mews::layout;
using mews::ring::Look;
using mews::ring::Push;
using mews::ring::Room;
using mews_test::Lane;
using mews_test::message;
using mews_test::pattern;

constexpr std::uint64_t kOrdinaryCells = 32 - kControlCells;

/// Stages records of one cell, numbered from `first`, until one is refused; how many there were.
std::uint64_t fill(Lane& lane, Room room, std::uint64_t first) {
  std::uint64_t count = 0;
  while (lane.producer.try_stage(message(first + count), {}, room) == Push::done)
    ++count;
  return count;
}

/// Takes every published record; their correlations.
std::vector<std::uint64_t> drain(Lane& lane) {
  std::vector<std::uint64_t> correlations;
  Descriptor record;
  while (lane.consumer.look(record) == Look::record) {
    correlations.push_back(record.correlation);
    lane.consumer.advance(record);
  }
  static_cast<void>(lane.consumer.release_cells(Look::empty));
  return correlations;
}

std::vector<std::uint64_t> numbers(std::uint64_t count) {
  std::vector<std::uint64_t> result(count);
  for (std::uint64_t i = 0; i < count; ++i)
    result[i] = i;
  return result;
}

}  // namespace

TEST_CASE("lane: a record of every inline size arrives as it was sent") {
  Lane lane(64);
  for (std::size_t bytes = 0; bytes <= kMaxInlineBytes; ++bytes) {
    INFO("payload of " << bytes << " bytes");
    auto sent = message(bytes * 3, bytes);
    sent.type = static_cast<std::uint32_t>(~bytes);
    const auto payload = pattern(bytes, bytes);
    REQUIRE(lane.producer.try_stage(sent, payload, Room::ordinary) == Push::done);
    lane.producer.publish();
    Descriptor got;
    REQUIRE(lane.consumer.look(got) == Look::record);
    CHECK((got.kind == RecordKind::message && got.slab_class == kNoClass));
    CHECK((got.correlation == sent.correlation && got.type == sent.type && got.bytes == bytes));
    const auto view = lane.consumer.inline_payload(got);
    REQUIRE(std::equal(view.begin(), view.end(), payload.begin(), payload.end()));
    std::array<std::byte, kMaxInlineBytes> copy;
    mews::ring::LaneConsumer::copy_inline(lane.consumer.front(), got.bytes, copy);
    REQUIRE(std::equal(payload.begin(), payload.end(), copy.begin()));
    lane.consumer.advance(got);
    static_cast<void>(lane.consumer.release_cells(lane.consumer.look(got)));
  }
}

TEST_CASE("lane: a handle with the largest value of every field arrives as it was sent") {
  Lane lane;
  const Descriptor sent{.cells = 0,
                        .kind = RecordKind::message,
                        .slab_class = 0xfe,
                        .type = ~0U,
                        .correlation = ~std::uint64_t{0},
                        .bytes = kMaxPayloadBytes,
                        .slab_index = kMaxSlabsPerClass - 1,
                        .generation = ~0U};
  REQUIRE(lane.producer.try_stage(sent, {}, Room::ordinary) == Push::done);
  lane.producer.publish();
  Descriptor got;
  REQUIRE(lane.consumer.look(got) == Look::record);
  CHECK((got.cells == 1 && got.slab_class == 0xfe && got.type == ~0U));
  CHECK((got.bytes == kMaxPayloadBytes && got.slab_index == kMaxSlabsPerClass - 1));
  CHECK((got.correlation == sent.correlation && got.generation == sent.generation));
}

TEST_CASE("lane: a closing record is told from a message") {
  Lane lane;
  Descriptor sent;
  sent.kind = RecordKind::close;
  REQUIRE(lane.producer.try_stage(sent, {}, Room::control) == Push::done);
  lane.producer.publish();
  Descriptor got;
  REQUIRE(lane.consumer.look(got) == Look::record);
  CHECK(got.kind == RecordKind::close);
}

TEST_CASE("lane: a fresh lane is empty and has room") {
  Lane lane;
  Descriptor record;
  CHECK(lane.consumer.look(record) == Look::empty);
  CHECK_FALSE(lane.consumer.has_record());
  CHECK(lane.consumer.position() == 0);
  CHECK(lane.producer.used_cells() == 0);
  CHECK(lane.producer.capacity_cells() == 32);
  CHECK(lane.producer.has_room(8, Room::ordinary));
}

TEST_CASE("lane: looking twice before advancing gives the same record") {
  Lane lane;
  REQUIRE(lane.producer.try_stage(message(5), {}, Room::ordinary) == Push::done);
  REQUIRE(lane.producer.try_stage(message(6), {}, Room::ordinary) == Push::done);
  lane.producer.publish();
  Descriptor record;
  REQUIRE(lane.consumer.look(record) == Look::record);
  REQUIRE(lane.consumer.look(record) == Look::record);
  CHECK(record.correlation == 5);
  CHECK(lane.consumer.position() == 0);
}

TEST_CASE("lane: a full lane refuses a record and keeps its contents") {
  Lane lane;
  CHECK(fill(lane, Room::ordinary, 0) == kOrdinaryCells);
  lane.producer.publish();
  CHECK(lane.producer.try_stage(message(99), pattern(480, 1), Room::ordinary) == Push::full);
  CHECK(lane.producer.try_stage(message(99), {}, Room::ordinary) == Push::full);
  CHECK_FALSE(lane.producer.has_staged());
  CHECK_FALSE(lane.producer.has_room(1, Room::ordinary));
  CHECK(lane.producer.used_cells() == kOrdinaryCells);
  CHECK(drain(lane) == numbers(kOrdinaryCells));
  CHECK(lane.producer.has_room(8, Room::ordinary));
}

TEST_CASE("lane: the last eight cells are for control records alone") {
  Lane lane;
  const auto ordinary = fill(lane, Room::ordinary, 0);
  CHECK(lane.producer.has_room(8, Room::control));
  CHECK(fill(lane, Room::control, ordinary) == kControlCells);
  CHECK_FALSE(lane.producer.has_room(1, Room::control));
  lane.producer.publish();
  CHECK(drain(lane) == numbers(32));
}

TEST_CASE("lane: a batch is invisible until it is published, and then visible as a whole") {
  Lane lane;
  REQUIRE(lane.producer.try_stage(message(0), {}, Room::ordinary) == Push::done);
  lane.producer.publish();
  CHECK(drain(lane) == numbers(1));
  for (std::uint64_t i = 0; i < 5; ++i) {
    REQUIRE(lane.producer.try_stage(message(i, 100), pattern(100, i), Room::ordinary) ==
            Push::done);
    Descriptor record;
    CHECK(lane.producer.has_staged());
    CHECK_FALSE(lane.consumer.has_record());
    CHECK(lane.consumer.look(record) == Look::empty);
  }
  lane.producer.publish();
  CHECK_FALSE(lane.producer.has_staged());
  CHECK(lane.consumer.has_record());
  CHECK(drain(lane) == numbers(5));
}

TEST_CASE("lane: publishing nothing changes nothing") {
  Lane lane;
  lane.producer.publish();
  CHECK_FALSE(lane.consumer.has_record());
  REQUIRE(lane.producer.try_stage(message(0), {}, Room::ordinary) == Push::done);
  lane.producer.publish();
  lane.producer.publish();
  CHECK(drain(lane) == numbers(1));
}

TEST_CASE("lane: cells go back when a quarter of the ring has come together") {
  Lane lane;
  static_cast<void>(fill(lane, Room::ordinary, 0));
  lane.producer.publish();
  Descriptor record;
  for (std::uint64_t read = 1; read <= 8; ++read) {
    REQUIRE(lane.consumer.look(record) == Look::record);
    lane.consumer.advance(record);
    CHECK(lane.consumer.release_cells(Look::record) == (read == 8));
    CHECK(lane.state.head.load(std::memory_order_relaxed) == (read == 8 ? 8 : 0));
  }
}

TEST_CASE("lane: cells of large slabs go back before a quarter of the ring has come together") {
  struct Row {
    std::uint64_t bytes;
    int records;
  };
  for (const Row& row : {Row{16u << 20, 1},
                         {2u << 20, 1},
                         {1u << 20, 2},
                         {1u << 18, 8},
                         {1u << 14, 128},
                         {8192, 256}}) {
    Lane lane(1024);
    std::uint64_t read = 0;
    const auto go_on = [&] {
      REQUIRE(lane.producer.try_stage(message(read++), {}, Room::ordinary) == Push::done);
      lane.producer.publish();
      Descriptor record;
      REQUIRE(lane.consumer.look(record) == Look::record);
      lane.consumer.adapt_steps(row.bytes);
      lane.consumer.advance(record);
      return lane.consumer.release_cells(Look::record);
    };
    for (int round = 0; round < 3; ++round) {
      for (int i = 1; i < row.records; ++i)
        REQUIRE_FALSE(go_on());
      CHECK(go_on());
    }
  }
}

TEST_CASE("lane: cells go back when the lane has run dry, and only if there are any") {
  Lane lane;
  CHECK_FALSE(lane.consumer.release_cells(Look::empty));
  REQUIRE(lane.producer.try_stage(message(0), {}, Room::ordinary) == Push::done);
  lane.producer.publish();
  Descriptor record;
  REQUIRE(lane.consumer.look(record) == Look::record);
  CHECK_FALSE(lane.consumer.release_cells(Look::record));
  lane.consumer.advance(record);
  CHECK(lane.consumer.release_cells(lane.consumer.look(record)));
  CHECK(lane.state.head.load(std::memory_order_relaxed) == 1);
  CHECK_FALSE(lane.consumer.release_cells(Look::empty));
}

TEST_CASE("lane: the producer finds released cells only when it needs them") {
  Lane lane;
  static_cast<void>(fill(lane, Room::ordinary, 0));
  lane.producer.publish();
  CHECK(drain(lane).size() == kOrdinaryCells);
  CHECK(lane.producer.used_cells() == kOrdinaryCells);
  CHECK(lane.producer.try_stage(message(0), {}, Room::ordinary) == Push::done);
  CHECK(lane.producer.used_cells() == 1);
}
