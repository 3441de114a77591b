// SPDX-License-Identifier: MIT
#include <array>
#include <vector>

#include "../support/catch.hpp"
#include "../support/lane_fixture.hpp"
#include "../support/random.hpp"
#include "mews/layout/call_id.hpp"

// The records of all open calls of both ends fit a lane: two ends that do whatever a link may do,
// as they please, never find it full. Here without processes, so that many moves are tried.
namespace {

using mews::layout::CallId;
using mews::layout::RecordKind;
using mews::ring::Look;
using mews::ring::Push;
using mews::ring::Room;
using mews_test::Random;

enum class Call { none, open, gone };

/// One end: what it has open, and what the other end has open towards it.
struct End {
  std::vector<Call> own;
  std::vector<std::uint32_t> generations;
  std::vector<bool> asked;
};

class Pair {
 public:
  Pair(std::uint32_t ring_cells, std::uint64_t seed)
      : calls_(mews::layout::most_calls(ring_cells)),
        lanes_{mews_test::Lane(ring_cells), mews_test::Lane(ring_cells)},
        random_(seed) {
    for (auto& lane : lanes_)
      lane.consumer.owe_at_most(mews::layout::most_owed_cells(ring_cells));
    for (auto& end : ends_) {
      end.own.assign(calls_, Call::none);
      end.generations.assign(calls_, 0);
      end.asked.assign(calls_, false);
    }
    // An end likes some moves more than others, for a while.
    choose_habits();
  }

  /// Returns false where a record found no room.
  bool move() {
    if (random_() % 500 == 0) choose_habits();
    const auto who = random_() % 2;
    auto& end = ends_[who];
    const auto slot = static_cast<std::uint32_t>(random_() % calls_);
    auto dice = random_() % 100;
    for (const auto& [share, kind] : habits_[who]) {
      if (dice >= share) {
        dice -= share;
        continue;
      }
      switch (kind) {
        case Move::start:
          if (end.own[slot] != Call::none) return true;
          end.own[slot] = Call::open;
          ++end.generations[slot];
          return send(who, RecordKind::request, slot, end.generations[slot]);
        case Move::cancel:
          if (end.own[slot] != Call::open) return true;
          end.own[slot] = Call::gone;
          return send(who, RecordKind::cancel, slot, end.generations[slot]);
        case Move::answer:
          if (!end.asked[slot]) return true;
          end.asked[slot] = false;
          return send(who, RecordKind::reply, slot, ends_[1 - who].generations[slot]);
        case Move::read:
          read(who, 1 + random_() % 8);
          return true;
        case Move::read_all:
          read(who, 100'000);
          return true;
      }
    }
    return true;
  }

 private:
  enum class Move { start, cancel, answer, read, read_all };
  struct Habit {
    std::uint64_t share;
    Move move;
  };

  void choose_habits() {
    for (auto& habits : habits_) {
      habits.clear();
      for (const auto kind :
           {Move::start, Move::cancel, Move::answer, Move::read, Move::read_all}) {
        habits.push_back({random_() % (kind == Move::read_all ? 4 : 40), kind});
      }
    }
  }

  bool send(std::size_t who, RecordKind kind, std::uint32_t slot, std::uint32_t generation) {
    auto& producer = lanes_[who].producer;
    // Mostly the largest; the others move the laps about.
    const std::size_t bytes = kind == RecordKind::cancel ? 0
                              : random_() % 4 == 0       ? random_() % 481
                                                         : 480;
    const std::vector<std::byte> payload(bytes);
    mews::layout::Descriptor record;
    record.kind = kind;
    record.correlation = CallId{.slot = slot, .generation = generation}.pack();
    record.bytes = bytes;
    const auto push = producer.try_stage(record, payload, Room::bounded);
    producer.publish();
    return push == Push::done;
  }

  // As `ChannelCore` does it.
  void read(std::size_t who, std::uint64_t limit) {
    auto& consumer = lanes_[1 - who].consumer;
    for (std::uint64_t i = 0; i < limit; ++i) {
      mews::layout::Descriptor record;
      const auto look = consumer.look(record);
      if (look == Look::empty) {
        (void)consumer.release_cells(look);
        return;
      }
      REQUIRE(look == Look::record);
      const auto id = CallId::unpack(record.correlation);
      auto& end = ends_[who];
      if (record.kind == RecordKind::request) end.asked[id.slot] = true;
      if (record.kind == RecordKind::reply) end.own[id.slot] = Call::none;
      consumer.advance(record);
      (void)consumer.release_cells(Look::record);
    }
  }

  std::uint32_t calls_;
  std::array<mews_test::Lane, 2> lanes_;
  std::array<End, 2> ends_;
  std::array<std::vector<Habit>, 2> habits_;
  Random random_;
};

}  // namespace

TEST_CASE("link room: the records of all open calls fit a lane, in whatever order they come") {
  for (const std::uint32_t ring_cells : {128u, 256u, 512u, 1024u, 2048u}) {
    INFO(ring_cells << " cells");
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      INFO("seed " << seed);
      Pair pair(ring_cells, seed);
      for (int i = 0; i < 10'000; ++i)
        REQUIRE(pair.move());
    }
  }
}
