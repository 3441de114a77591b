// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/lane_fixture.hpp"
#include "../support/random.hpp"

namespace {

using namespace mews::layout;
using mews::ring::Look;
using mews::ring::Push;
using mews::ring::Room;
using mews_test::between;
using mews_test::first_word_of_cell;
using mews_test::Lane;
using mews_test::message;
using mews_test::pattern;
using mews_test::put_word;

constexpr std::uint32_t kRing = 32;

void send(Lane& lane, std::uint64_t correlation, const std::vector<std::byte>& payload) {
  REQUIRE(lane.producer.try_stage(message(correlation, payload.size()), payload, Room::ordinary) ==
          Push::done);
  lane.producer.publish();
}

/// Receives one record and gives its cells back; how it went, as text that is empty when it went
/// as expected.
std::string receive(Lane& lane, std::uint64_t correlation, const std::vector<std::byte>& payload) {
  Descriptor record;
  if (lane.consumer.look(record) != Look::record) return "no record";
  if (record.correlation != correlation) return "another record";
  const auto view = lane.consumer.inline_payload(record);
  if (!std::equal(view.begin(), view.end(), payload.begin(), payload.end())) return "other bytes";
  lane.consumer.advance(record);
  static_cast<void>(lane.consumer.release_cells(Look::empty));
  return {};
}

/// Sends and receives records of one cell until both ends stand at `position`. The reader stays two
/// records behind until then, so laps are long.
void walk_to(Lane& lane, std::uint64_t position) {
  auto sent = lane.consumer.position();
  while (lane.consumer.position() < position) {
    for (; sent < position && sent < lane.consumer.position() + 3; ++sent)
      send(lane, sent, {});
    REQUIRE(receive(lane, lane.consumer.position(), {}).empty());
  }
}

/// Payload whose first word in cell `i` of a record at `position` is the mark of the next lap.
std::vector<std::byte> colliding(std::uint64_t position, std::size_t i, std::uint64_t low_bits) {
  auto payload = pattern(kMaxInlineBytes, i);
  put_word(payload, first_word_of_cell(i), mark_sequence(position + i + kRing) | low_bits);
  return payload;
}

}  // namespace

TEST_CASE("lane: a record that does not fit before the end goes to the start, behind a filler") {
  for (std::uint64_t to_end = 1; to_end < 8; ++to_end) {
    INFO(to_end << " cells before the end");
    Lane lane(kRing);
    walk_to(lane, kRing - to_end);
    const auto payload = pattern(kMaxInlineBytes, to_end);
    send(lane, 7, payload);
    CHECK(receive(lane, 7, payload).empty());
    CHECK(lane.consumer.position() == kRing + 8);
  }
}

TEST_CASE("lane: a record that ends with the ring needs no filler") {
  Lane lane(kRing);
  walk_to(lane, kRing - 8);
  const auto payload = pattern(kMaxInlineBytes, 1);
  send(lane, 7, payload);
  CHECK(receive(lane, 7, payload).empty());
  CHECK(lane.consumer.position() == kRing);
}

TEST_CASE("lane: the filler counts against the room that a record needs") {
  Lane lane(kRing);
  walk_to(lane, 20);
  const auto payload = pattern(400, 1);  // 7 cells
  send(lane, 0, payload);
  send(lane, 1, payload);  // at the start, behind a filler that skips 5 cells: 7 + 1 + 7 are used
  CHECK(lane.producer.used_cells() == 15);
  CHECK(lane.producer.has_room(5, Room::ordinary));
  CHECK_FALSE(lane.producer.has_room(6, Room::ordinary));
  CHECK(receive(lane, 0, payload).empty());
  CHECK(receive(lane, 1, payload).empty());
}

TEST_CASE("lane: a stale cell of an earlier lap never looks published") {
  Lane lane(kRing);
  for (std::uint64_t i = 0; i < 10 * kRing; ++i) {
    CHECK_FALSE(lane.consumer.has_record());
    const auto payload = pattern(i * 37 % (kMaxInlineBytes + 1), i);
    send(lane, i, payload);
    REQUIRE(receive(lane, i, payload).empty());
  }
}

TEST_CASE("lane: payload that looks like a mark of the next lap is moved on by a filler") {
  for (std::size_t i = 1; i < kMaxRecordCells; ++i) {
    for (const std::uint64_t low_bits : {0x0000U, 0x0011U, 0xff11U, 0xffffU}) {
      INFO("cell " << i << ", low bits " << low_bits);
      Lane lane(kRing);
      const auto payload = colliding(0, i, low_bits);
      send(lane, 1, payload);
      REQUIRE(receive(lane, 1, payload).empty());
      CHECK(lane.consumer.position() == 9);
      walk_to(lane, kRing + i);
      Descriptor record;
      CHECK_FALSE(lane.consumer.has_record());
      CHECK(lane.consumer.look(record) == Look::empty);
    }
  }
}

TEST_CASE("lane: payload that collides again after each step is moved on until it does not") {
  Lane lane(kRing);
  auto payload = pattern(kMaxInlineBytes, 1);
  for (std::size_t i = 1; i < kMaxRecordCells; ++i) {
    // At position 0 by cell 1, at position 1 by cell 2, and so on.
    put_word(payload, first_word_of_cell(i), mark_sequence(i - 1 + i + kRing) | 0xff11);
  }
  send(lane, 1, payload);
  REQUIRE(receive(lane, 1, payload).empty());
  CHECK(lane.consumer.position() == 7 + 8);
}

TEST_CASE("lane: a record that is moved on and then finds no room can be sent later") {
  Lane lane(kRing);
  for (std::uint64_t i = 0; i < 16; ++i)
    send(lane, i, {});
  const auto payload = colliding(16, 3, 0xff11);
  CHECK(lane.producer.try_stage(message(16, payload.size()), payload, Room::ordinary) ==
        Push::full);
  lane.producer.publish();
  for (std::uint64_t i = 0; i < 16; ++i)
    REQUIRE(receive(lane, i, {}).empty());
  Descriptor record;
  CHECK(lane.consumer.look(record) == Look::empty);
  send(lane, 16, payload);
  CHECK(receive(lane, 16, payload).empty());
}

TEST_CASE("lane: payload of a record that was moved on never looks like a record of this lap") {
  for (std::uint64_t i = 1; i < 3; ++i) {
    INFO("cell " << i);
    Lane lane(kRing);
    for (std::uint64_t k = 0; k < 16; ++k)
      send(lane, k, {});
    auto payload = colliding(16, 7, 0xff11);
    put_word(payload, first_word_of_cell(i), mark_sequence(16 + i) | 0xff11);
    REQUIRE(lane.producer.try_stage(message(16, payload.size()), payload, Room::ordinary) ==
            Push::full);
    lane.producer.publish();
    for (std::uint64_t k = 0; k < 16; ++k)
      REQUIRE(receive(lane, k, {}).empty());
    Descriptor record;
    CHECK(lane.consumer.look(record) == Look::empty);
    walk_to(lane, 16 + i);
    CHECK(lane.consumer.look(record) == Look::empty);
  }
}

TEST_CASE("lane: payload of two laps ago is gone from the cells that a filler skipped since") {
  for (std::uint64_t i = 5; i < 8; ++i) {
    INFO("cell " << i);
    Lane lane(kRing);
    walk_to(lane, 24);
    auto payload = pattern(kMaxInlineBytes, i);
    put_word(payload, first_word_of_cell(i), mark_sequence(24 + i + 2 * kRing) | 0xff11);
    send(lane, 1, payload);
    REQUIRE(receive(lane, 1, payload).empty());
    walk_to(lane, 32 + 28);
    send(lane, 2, payload);  // behind a filler of the last four cells
    REQUIRE(receive(lane, 2, payload).empty());
    walk_to(lane, 24 + i + 2 * kRing);
    Descriptor record;
    CHECK(lane.consumer.look(record) == Look::empty);
  }
}

TEST_CASE(
    "lane: whatever the payloads are made of, records arrive in order and nothing else does") {
  struct Sent {
    std::uint64_t correlation;
    std::vector<std::byte> payload;
  };
  mews_test::Random random(mews_test::make_seed("lane wrap"));
  Lane lane(kRing);
  std::deque<Sent> published;
  std::deque<Sent> staged;
  std::string failure;
  const auto steps = mews_test::scaled(400'000);
  for (std::uint64_t step = 0; step < steps && failure.empty(); ++step) {
    const auto action = between(random, 0, 9);
    if (action < 4) {
      auto payload = pattern(between(random, 0, kMaxInlineBytes), step);
      for (std::size_t i = 1; i < record_cells(payload.size()); ++i) {
        const auto at = first_word_of_cell(i);
        if (at + 8 > payload.size()) break;
        const auto position = lane.consumer.position() + between(random, 0, 3 * kRing);
        put_word(payload, at, mark_sequence(position) | (random() & 0xffff));
      }
      const auto room = between(random, 0, 3) == 0 ? Room::control : Room::ordinary;
      const auto push = lane.producer.try_stage(message(step, payload.size()), payload, room);
      if (push == Push::corrupt) failure = "the head is called corrupt";
      if (push == Push::done) staged.push_back({step, std::move(payload)});
    } else if (action < 6) {
      lane.producer.publish();
      std::move(staged.begin(), staged.end(), std::back_inserter(published));
      staged.clear();
    } else if (!published.empty()) {
      failure = receive(lane, published.front().correlation, published.front().payload);
      published.pop_front();
    } else {
      Descriptor record;
      if (lane.consumer.look(record) != Look::empty) failure = "a record that nobody sent";
      static_cast<void>(lane.consumer.release_cells(Look::empty));
    }
    if (!failure.empty()) failure += " in step " + std::to_string(step);
  }
  CHECK(failure == "");
}
