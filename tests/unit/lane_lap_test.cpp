// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../support/catch.hpp"
#include "../support/lane_fixture.hpp"

namespace {

using namespace mews::layout;
using mews::ring::Look;
using mews::ring::Push;
using mews::ring::Room;
using mews_test::first_word_of_cell;
using mews_test::Lane;
using mews_test::message;
using mews_test::pattern;
using mews_test::put_word;

constexpr std::uint64_t kPageCells = kPageBytes / kCellBytes;

[[nodiscard]] Push stage(Lane& lane, std::uint64_t number, std::size_t bytes,
                         Room room = Room::ordinary) {
  return lane.producer.try_stage(message(number, bytes), pattern(bytes, number), room);
}

/// Publishes records from `number` on until one does not fit any more; the number of the next.
std::uint64_t fill(Lane& lane, std::uint64_t number, std::size_t bytes,
                   Room room = Room::ordinary) {
  while (stage(lane, number, bytes, room) == Push::done) {
    lane.producer.publish();
    ++number;
  }
  lane.producer.publish();  // a filler, perhaps
  return number;
}

/// Receives until nothing is there, checks each; the number of the next.
std::uint64_t drain(Lane& lane, std::uint64_t number) {
  Descriptor record;
  Look look;
  while ((look = lane.consumer.look(record)) == Look::record) {
    REQUIRE(record.correlation == number);
    const auto expected = pattern(record.bytes, number);
    const auto payload = lane.consumer.inline_payload(record);
    REQUIRE(std::equal(payload.begin(), payload.end(), expected.begin(), expected.end()));
    lane.consumer.advance(record);
    static_cast<void>(lane.consumer.release_cells(look));
    ++number;
  }
  REQUIRE(look == Look::empty);
  static_cast<void>(lane.consumer.release_cells(look));
  return number;
}

/// One record after another, each read at once.
std::uint64_t exchange(Lane& lane, std::uint64_t number, std::size_t bytes, int count) {
  for (int i = 0; i < count; ++i) {
    REQUIRE(stage(lane, number, bytes) == Push::done);
    lane.producer.publish();
    number = drain(lane, number);
  }
  return number;
}

}  // namespace

TEST_CASE("lane: while the reader keeps up, nothing behind the first page is touched") {
  for (const std::size_t bytes : {0U, 32U, 33U, 100U, 480U}) {
    INFO(bytes << " bytes");
    Lane lane(1024);
    CHECK(exchange(lane, 0, bytes, 3000) == 3000);
    CHECK(lane.consumer.position() > 10 * 1024);
    for (std::size_t i = kPageCells; i < 1024; ++i)
      REQUIRE(lane.cells[i].mark.load(std::memory_order_relaxed) == 0);
  }
}

TEST_CASE("lane: with a backlog a lap goes on to the end of the ring") {
  Lane lane(1024);
  CHECK(fill(lane, 0, 0) == 1024 - kControlCells);
  CHECK(lane.producer.used_cells() == 1024 - kControlCells);
  CHECK(drain(lane, 0) == 1024 - kControlCells);
}

TEST_CASE("lane: a backlog of two records makes a lap long, of one it does not") {
  for (const std::uint64_t backlog : {1U, 2U}) {
    Lane lane(1024);
    std::uint64_t number = 0;
    while (number < backlog)
      REQUIRE(stage(lane, number++, 0) == Push::done);
    lane.producer.publish();
    Descriptor record;
    for (; number < 1000; ++number) {
      REQUIRE(stage(lane, number, 0) == Push::done);
      lane.producer.publish();
      REQUIRE(lane.consumer.look(record) == Look::record);
      REQUIRE(record.correlation == number - backlog);
      lane.consumer.advance(record);
      static_cast<void>(lane.consumer.release_cells(Look::empty));
    }
    CHECK((lane.consumer.position() == 1000 - backlog) == (backlog == 2));
  }
}

TEST_CASE("lane: wherever a short lap was left, nearly the whole ring can be filled") {
  for (std::uint64_t before = 0; before < 200; ++before) {
    INFO(before << " records exchanged before");
    Lane lane(256);
    exchange(lane, 0, 0, static_cast<int>(before));
    auto end = fill(lane, before, 0);
    // All but what control has to itself, at most twice, and two fillers.
    CHECK(end - before >= 256 - 2 * kControlCells - 2);
    CHECK(lane.producer.used_cells() <= 256);
    CHECK_FALSE(lane.producer.has_room(1, Room::ordinary));
    const auto control = fill(lane, end, 0, Room::control);
    CHECK(control - end >= kControlCells);
    end = control;
    CHECK(drain(lane, before) == end);
    CHECK(exchange(lane, end, 100, 300) == end + 300);
  }
}

TEST_CASE("lane: a lap that runs into the unread rest of a short one goes on behind it") {
  Lane lane(32);
  const auto begun = exchange(lane, 0, 0, 15);
  CHECK(lane.consumer.position() == 15);
  // The lap ends in cell 15 with a filler, which is not read. Seven records may stand before it
  // with eight cells for control, then a filler leads to cell 16, where eight more find room.
  CHECK(fill(lane, begun, 0) == begun + 7 + 8);
  CHECK(drain(lane, begun) == begun + 7 + 8);
  CHECK(lane.consumer.position() == 32 + 16 + 8);
}

TEST_CASE("lane: records of all sizes in turn with bursts arrive in order through short laps") {
  for (const std::uint32_t ring : {32U, 64U, 128U, 1024U}) {
    Lane lane(ring);
    std::uint64_t number = 0;
    for (int turn = 0; turn < 300; ++turn) {
      const auto bytes = static_cast<std::size_t>(turn * 37 % 481);
      number = exchange(lane, number, bytes, turn % 23);
      const auto begun = number;
      if (turn % 3 == 0) {
        number = fill(lane, number, bytes);
        REQUIRE(drain(lane, begun) == number);
      }
    }
  }
}

TEST_CASE("lane: payload that a short lap has left behind never looks published") {
  constexpr std::uint64_t kRing = 32;
  for (std::uint64_t laps = 1; laps < 5; ++laps) {
    for (std::size_t i = 1; i < kMaxRecordCells; ++i) {
      INFO("cell " << i << ", " << laps << " laps on");
      Lane lane(kRing);
      // One record at cell 16, behind a backlog, with a mark in it of a later lap.
      for (std::uint64_t k = 0; k < 16; ++k)
        REQUIRE(stage(lane, k, 0) == Push::done);
      auto payload = pattern(kMaxInlineBytes, 16);
      put_word(payload, first_word_of_cell(i), mark_sequence(16 + i + laps * kRing) | 0xff11);
      // Where it would pass for a mark of the next lap it is moved on, and harmless.
      if (lane.producer.try_stage(message(16, payload.size()), payload, Room::ordinary) !=
          Push::done) {
        continue;
      }
      lane.producer.publish();
      Descriptor record;
      while (lane.consumer.look(record) == Look::record)
        lane.consumer.advance(record);
      static_cast<void>(lane.consumer.release_cells(Look::empty));
      // Short laps, and then one that a backlog makes long, in which the reader looks at each cell
      // before anything is there.
      std::uint64_t number = 0;
      while (lane.consumer.position() < laps * kRing)
        number = exchange(lane, number, 0, 1);
      const auto begun = number;
      while (number < begun + 16)
        REQUIRE(stage(lane, number++, 0) == Push::done);
      lane.producer.publish();
      REQUIRE(drain(lane, begun) == number);
      CHECK(exchange(lane, number, 0, 14) == number + 14);
      CHECK(lane.consumer.position() == (laps + 1) * kRing - 1);
    }
  }
}
