// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "../support/catch.hpp"
#include "../support/lane_fixture.hpp"
#include "stress_support.hpp"

namespace {

using namespace mews::layout;
using mews::ring::Look;
using mews::ring::Push;
using mews::ring::Room;
using mews_test::between;
using mews_test::Lane;
using mews_test::Random;

/// The payload of the record with a number: both ends can make it.
class Payloads {
 public:
  Payloads(std::uint64_t seed, std::uint32_t ring_cells) : random_(seed), ring_cells_(ring_cells) {}

  /// The next record's. Some words look like marks of positions near `about`, a guess that only
  /// the sender can make, so they are drawn from a generator of their own.
  std::span<std::byte> next() {
    const auto bytes = between(random_, 0, 3) == 0 ? between(random_, 0, kMaxInlineBytes)
                                                   : between(random_, 0, 96);
    for (std::size_t at = 0; at < bytes; at += 8) {
      const auto word = between(random_, 0, 7) == 0 ? mark_sequence(about_) | 0xff11 : random_();
      std::memcpy(buffer_.data() + at, &word, std::min<std::size_t>(8, bytes - at));
    }
    // Roughly where the record after this one lies, one lap later.
    about_ += record_cells(bytes) + between(random_, 0, 2);
    if (between(random_, 0, 63) == 0) about_ += ring_cells_;
    return std::span(buffer_).first(bytes);
  }

 private:
  Random random_;
  std::uint32_t ring_cells_;
  std::uint64_t about_ = ring_cells_;
  std::array<std::byte, kMaxInlineBytes + 8> buffer_{};
};

struct Flow {
  Lane& lane;
  std::uint64_t seed;
  std::uint64_t records;
  std::uint32_t largest_batch;
};

void produce(const Flow& flow, stress::Complaints& complaints) {
  auto& producer = flow.lane.producer;
  Payloads payloads(flow.seed, static_cast<std::uint32_t>(producer.capacity_cells()));
  Random random(flow.seed + 1);
  stress::Idle idle;
  auto batch = between(random, 1, flow.largest_batch);
  for (std::uint64_t i = 0; i < flow.records && !complaints.any();) {
    const auto payload = payloads.next();
    const auto record = mews_test::message(i, payload.size());
    for (;;) {
      const auto push = producer.try_stage(record, payload, Room::ordinary);
      if (push == Push::done) break;
      if (push == Push::corrupt) return complaints.add("the head is called corrupt");
      producer.publish();
      idle.wait();
      if (complaints.any()) return;
    }
    ++i;
    if (--batch == 0 || i == flow.records) {
      producer.publish();
      batch = between(random, 1, flow.largest_batch);
    }
  }
}

void consume(const Flow& flow, stress::Complaints& complaints) {
  auto& consumer = flow.lane.consumer;
  Payloads payloads(flow.seed, static_cast<std::uint32_t>(flow.lane.cells.size()));
  Descriptor record;
  stress::Idle idle;
  for (std::uint64_t i = 0; i < flow.records && !complaints.any();) {
    const auto look = consumer.look(record);
    if (look == Look::corrupt) return complaints.add("corrupt at record " + std::to_string(i));
    if (look == Look::record) {
      const auto expected = payloads.next();
      const auto got = consumer.inline_payload(record);
      if (record.correlation != i) {
        return complaints.add("record " + std::to_string(record.correlation) + " instead of " +
                              std::to_string(i));
      }
      if (!std::equal(got.begin(), got.end(), expected.begin(), expected.end())) {
        return complaints.add("record " + std::to_string(i) + " has other bytes");
      }
      consumer.advance(record);
      ++i;
    }
    static_cast<void>(consumer.release_cells(look));
    if (look == Look::empty) idle.wait();
  }
}

void hammer(std::uint32_t ring_cells, std::uint64_t records, std::uint32_t largest_batch) {
  Lane lane(ring_cells);
  const Flow flow{.lane = lane,
                  .seed = mews_test::make_seed("lane stress"),
                  .records = mews_test::scaled(records),
                  .largest_batch = largest_batch};
  stress::Complaints complaints;
  stress::run_threads(
      2, [&](unsigned i) { i == 0 ? produce(flow, complaints) : consume(flow, complaints); });
  REQUIRE(complaints.all() == "");
  Descriptor record;
  CHECK(lane.consumer.look(record) == Look::empty);
}

}  // namespace

TEST_CASE("lane: two threads pass every record of a tiny ring, in order and undamaged") {
  hammer(kMinRingCells, 150'000, 1);
}

TEST_CASE("lane: two threads pass batches through a tiny ring, in order and undamaged") {
  hammer(kMinRingCells, 150'000, 12);
}

TEST_CASE("lane: two threads pass records of a default ring, in order and undamaged") {
  hammer(1024, 1'500'000, 1);
}

TEST_CASE("lane: two threads pass batches through a default ring, in order and undamaged") {
  hammer(1024, 1'500'000, 200);
}
