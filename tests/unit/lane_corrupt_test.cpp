// SPDX-License-Identifier: MIT
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

struct Bits {
  std::uint64_t cells = 1;
  std::uint64_t kind = 1;
  std::uint64_t size_class = kNoClass;
  std::uint64_t bytes = 0;
};

/// Writes a record as a producer with a bug might, where the reader looks next.
void scribble(Lane& lane, std::uint64_t position, const Bits& bits) {
  auto& cell = lane.cells[position % lane.cells.size()];
  cell.extent = bits.bytes;
  cell.mark.store(mark_sequence(position) | bits.size_class << 8 | bits.kind << 4 | bits.cells,
                  std::memory_order_release);
}

Look look_after(const Bits& bits, std::uint64_t position = 0) {
  Lane lane;
  for (std::uint64_t i = 0; i < position; ++i)
    REQUIRE(lane.producer.try_stage(message(i), {}, Room::control) == Push::done);
  lane.producer.publish();
  Descriptor record;
  for (std::uint64_t i = 0; i < position; ++i) {
    REQUIRE(lane.consumer.look(record) == Look::record);
    lane.consumer.advance(record);
  }
  scribble(lane, position, bits);
  const auto look = lane.consumer.look(record);
  if (look == Look::corrupt) CHECK(lane.consumer.position() == position);
  return look;
}

/// Fills the room for ordinary records, so that the next one needs the consumer's head.
void fill(Lane& lane) {
  while (lane.producer.try_stage(message(0), {}, Room::ordinary) == Push::done) {
  }
  lane.producer.publish();
}

}  // namespace

TEST_CASE("lane: the fast look takes each message that the full look takes, and nothing else") {
  using mews::ring::look_at;
  using mews::ring::look_at_message;
  std::vector<Cell> cells(32);
  std::uint64_t messages = 0;
  std::uint64_t wrong = 0;
  // In the middle of the ring, where the longest record just fits, where it does not, in a later
  // lap.
  for (const std::uint64_t position : {5u, 24u, 25u, 31u, 32u * 7 + 3}) {
    auto& cell = cells[position % cells.size()];
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, std::uint64_t{32}, std::uint64_t{33}, std::uint64_t{96},
          std::uint64_t{97}, std::uint64_t{480}, std::uint64_t{481}, std::uint64_t{900},
          kMaxPayloadBytes, ~std::uint64_t{0}}) {
      cell.extent = bytes;
      cell.correlation = ~bytes;
      // All that 16 bits can say, in a mark of this position and of the one a lap before.
      for (std::uint64_t bits = 0; bits < 2 * 0x10000; ++bits) {
        const auto marked = position - (bits < 0x10000 ? 0 : cells.size());
        cell.mark.store(mark_sequence(marked) | (bits & 0xffff), std::memory_order_relaxed);
        Descriptor full;
        Descriptor fast;
        const bool is_message =
            look_at(cells, position, full) == Look::record && full.kind == RecordKind::message;
        const auto* first = look_at_message(cells, position, fast);
        if (is_message) ++messages;
        if (is_message != (first != nullptr)) ++wrong;
        if (first == nullptr) continue;
        if (first != &cell || fast.cells != full.cells || fast.kind != full.kind ||
            fast.slab_class != full.slab_class || fast.bytes != full.bytes ||
            fast.slab_index != full.slab_index || fast.correlation != full.correlation) {
          ++wrong;
        }
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(messages > 1000);
}

TEST_CASE("lane: what the following tests damage is a record while it is whole") {
  CHECK(look_after({}) == Look::record);
  CHECK(look_after({}, 31) == Look::record);
  CHECK(look_after({.cells = 8, .bytes = 480}) == Look::record);
  CHECK(look_after({.size_class = 3, .bytes = kMaxPayloadBytes}) == Look::record);
}

TEST_CASE("lane: a record of no cells, or of more than eight, is corrupt") {
  for (const std::uint64_t cells : {0U, 9U, 10U, 11U, 12U, 13U, 14U, 15U}) {
    INFO(cells << " cells");
    CHECK(look_after({.cells = cells, .bytes = cells * 64 - 32}) == Look::corrupt);
  }
}

TEST_CASE("lane: a filler of more than one cell, or that skips none, is corrupt") {
  for (const std::uint64_t cells : {0U, 2U, 8U, 9U, 15U}) {
    INFO(cells << " cells");
    CHECK(look_after({.cells = cells, .kind = 2, .bytes = 1}) == Look::corrupt);
  }
  CHECK(look_after({.kind = 2, .bytes = 0}) == Look::corrupt);
}

TEST_CASE("lane: a filler that skips more than the rest of the ring is corrupt") {
  CHECK(look_after({.kind = 2, .bytes = 32}) == Look::empty);
  CHECK(look_after({.kind = 2, .bytes = 33}) == Look::corrupt);
  CHECK(look_after({.kind = 2, .bytes = 2}, 30) == Look::empty);
  CHECK(look_after({.kind = 2, .bytes = 3}, 30) == Look::corrupt);
  CHECK(look_after({.kind = 2, .bytes = kMaxPayloadBytes}) == Look::corrupt);
  // Its low half is a length that would do.
  CHECK(look_after({.kind = 2, .bytes = (std::uint64_t{1} << 32) + 1}) == Look::corrupt);
}

TEST_CASE("lane: a record that reaches over the end of the ring is corrupt") {
  CHECK(look_after({.cells = 8, .bytes = 480}, 24) == Look::record);
  CHECK(look_after({.cells = 8, .bytes = 480}, 25) == Look::corrupt);
  CHECK(look_after({.cells = 2, .bytes = 64}, 31) == Look::corrupt);
}

TEST_CASE("lane: a record of an unknown kind is corrupt") {
  for (const std::uint64_t kind : {0U, 14U, 15U}) {
    INFO("kind " << kind);
    CHECK(look_after({.kind = kind}) == Look::corrupt);
    CHECK(look_after({.kind = kind, .size_class = 0}) == Look::corrupt);
  }
}

TEST_CASE("lane: a handle in more than one cell is corrupt") {
  for (const std::uint64_t cells : {2U, 3U, 8U}) {
    CHECK(look_after({.cells = cells, .size_class = 0, .bytes = 4096}) == Look::corrupt);
  }
}

TEST_CASE("lane: inline payload of another size than its cells is corrupt") {
  CHECK(look_after({.cells = 1, .bytes = 33}) == Look::corrupt);
  CHECK(look_after({.cells = 2, .bytes = 32}) == Look::corrupt);
  CHECK(look_after({.cells = 2, .bytes = 0}) == Look::corrupt);
  CHECK(look_after({.cells = 7, .bytes = 480}) == Look::corrupt);
  CHECK(look_after({.cells = 8, .bytes = 481}) == Look::corrupt);
  CHECK(look_after({.cells = 1, .bytes = kMaxPayloadBytes}) == Look::corrupt);
  // The number of cells that this many bytes take does not fit its type.
  CHECK(look_after({.cells = 1, .bytes = std::uint64_t{1} << 38}) == Look::corrupt);
}

TEST_CASE("lane: a head that has passed the producer is corrupt, and nothing is written") {
  for (const std::uint64_t head : {std::uint64_t{25}, std::uint64_t{1000}, ~std::uint64_t{0}}) {
    Lane lane;
    fill(lane);
    lane.state.head.store(head, std::memory_order_relaxed);
    CHECK(lane.producer.try_stage(message(1), {}, Room::ordinary) == Push::corrupt);
    CHECK_FALSE(lane.producer.has_staged());
  }
}

TEST_CASE("lane: a head that goes back is corrupt") {
  Lane lane;
  fill(lane);
  lane.state.head.store(10, std::memory_order_relaxed);
  fill(lane);
  lane.state.head.store(9, std::memory_order_relaxed);
  CHECK(lane.producer.try_stage(message(1), {}, Room::ordinary) == Push::corrupt);
}

TEST_CASE("lane: a head anywhere in the window that is possible is believed") {
  for (std::uint64_t head = 1; head <= 24; ++head) {
    Lane lane;
    fill(lane);
    lane.state.head.store(head, std::memory_order_relaxed);
    CHECK(lane.producer.try_stage(message(1), {}, Room::ordinary) == Push::done);
  }
}

// Each send that was given up while the lane was full may have left some.
TEST_CASE("lane: a message is received behind however many fillers") {
  Lane lane;
  for (std::uint64_t position = 0; position < 31; ++position)
    scribble(lane, position, {.kind = 2, .bytes = 1});
  scribble(lane, 31, {});
  Descriptor record;
  REQUIRE(lane.consumer.look(record) == Look::record);
  CHECK(record.kind == RecordKind::message);
  CHECK(lane.consumer.position() == 31);
}

TEST_CASE("lane: walking what is published visits the messages from a position on, in order") {
  Lane lane;
  Descriptor close;
  close.kind = RecordKind::close;
  REQUIRE(lane.producer.try_stage(message(0), pattern(100, 0), Room::ordinary) == Push::done);
  for (std::uint64_t i = 1; i < 4; ++i) {
    REQUIRE(lane.producer.try_stage(message(i, 300), pattern(300, i), Room::ordinary) ==
            Push::done);
  }
  REQUIRE(lane.producer.try_stage(close, {}, Room::control) == Push::done);
  lane.producer.publish();
  REQUIRE(lane.producer.try_stage(message(9), {}, Room::ordinary) == Push::done);  // unpublished
  std::vector<std::uint64_t> visited;
  mews::ring::walk_published(
      lane.cells, 3, [&](const Descriptor& record) { visited.push_back(record.correlation); });
  CHECK(visited == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(lane.consumer.position() == 0);
}

TEST_CASE("lane: walking what is published passes fillers and ends after one round of the ring") {
  Lane lane;
  for (std::uint64_t position = 0; position < 32; ++position) {
    scribble(lane, position, {.kind = position % 2 == 0 ? 1U : 2U, .bytes = position % 2});
  }
  int visits = 0;
  mews::ring::walk_published(lane.cells, 0, [&](const Descriptor&) { ++visits; });
  CHECK(visits == 16);
}

TEST_CASE("lane: walking what is published ends at nonsense") {
  Lane lane;
  scribble(lane, 0, {});
  scribble(lane, 1, {.kind = 14});
  scribble(lane, 2, {});
  int visits = 0;
  mews::ring::walk_published(lane.cells, 0, [&](const Descriptor&) { ++visits; });
  CHECK(visits == 1);
}
