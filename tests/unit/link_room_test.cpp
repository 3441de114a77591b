// SPDX-License-Identifier: MIT
#include <array>
#include <vector>

#include "../support/catch.hpp"
#include "../support/lane_fixture.hpp"
#include "../support/random.hpp"
#include "mews/layout/call_id.hpp"

// The records of all open calls and streams of both ends fit a lane: two ends that do whatever a
// link may do, as they please, never find it full. Here without processes, so that many moves are
// tried.
namespace {

using mews::layout::CallId;
using mews::layout::RecordKind;
using mews::ring::Look;
using mews::ring::Push;
using mews::ring::Room;
using mews_test::Random;

using mews::layout::kStreamConfirmed;
using mews::layout::kStreamPieces;
using mews::layout::LinkLimits;

enum class Call { none, open, gone };

/// What one end has sent and received of a stream.
struct Way {
  bool may_send = false;  ///< accepted, and not over
  bool has_finished = false;
  std::uint32_t sent = 0;      ///< and not confirmed
  std::uint32_t received = 0;  ///< and not confirmed
};

/// One end: what it has open, and what the other end has open towards it.
struct End {
  std::vector<Call> own;
  std::vector<std::uint32_t> generations;
  std::vector<bool> is_stream;
  std::vector<Way> opened;
  std::uint32_t streams = 0;
  // Towards it:
  std::vector<bool> asked;
  std::vector<bool> is_asked_stream;
  std::vector<Way> accepted;
};

class Pair {
 public:
  Pair(std::uint32_t ring_cells, std::uint64_t seed)
      : limits_(LinkLimits::of(ring_cells)),
        calls_(limits_.calls),
        lanes_{mews_test::Lane(ring_cells), mews_test::Lane(ring_cells)},
        random_(seed) {
    for (auto& lane : lanes_)
      lane.consumer.owe_at_most(mews::layout::most_owed_cells(ring_cells));
    for (auto& end : ends_) {
      end.own.assign(calls_, Call::none);
      end.generations.assign(calls_, 0);
      end.is_stream.assign(calls_, false);
      end.opened.assign(calls_, {});
      end.asked.assign(calls_, false);
      end.is_asked_stream.assign(calls_, false);
      end.accepted.assign(calls_, {});
    }
    // An end likes some moves more than others, for a while.
    choose_habits();
  }

  /// Returns false where a record found no room.
  bool move() {
    if (random_() % 1'500 == 0) choose_habits();
    const auto who = random_() % 2;
    auto& end = ends_[who];
    const auto slot = static_cast<std::uint32_t>(random_() % calls_);
    auto dice = random_() % 200;
    for (const auto& [share, kind] : habits_[who]) {
      if (dice >= share) {
        dice -= share;
        continue;
      }
      switch (kind) {
        case Move::start:
        case Move::open:
          return start(who, slot, kind == Move::open);
        case Move::cancel:
          if (end.own[slot] != Call::open) return true;
          end.own[slot] = Call::gone;
          end.opened[slot].may_send = false;
          return send(who, RecordKind::cancel, slot, end.generations[slot]);
        case Move::answer:
          if (!end.asked[slot]) return true;
          end.asked[slot] = false;
          end.accepted[slot] = {};
          return send(who, RecordKind::reply, slot, ends_[1 - who].generations[slot]);
        case Move::accept:
          if (!end.asked[slot] || !end.is_asked_stream[slot]) return true;
          if (end.accepted[slot].may_send) return true;
          end.accepted[slot].may_send = true;
          return send(who, RecordKind::accept, slot, ends_[1 - who].generations[slot]);
        case Move::data:
        case Move::confirm:
        case Move::finish:
          if (end.own[slot] == Call::open && end.is_stream[slot] &&
              !use(who, kind, slot, end.opened[slot], true)) {
            return false;
          }
          return !end.asked[slot] || !end.accepted[slot].may_send ||
                 use(who, kind, slot, end.accepted[slot], false);
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
  enum class Move { start, open, cancel, answer, accept, data, confirm, finish, read, read_all };
  struct Habit {
    std::uint64_t share;
    Move move;
  };

  // One end reads nothing for a while, so that its lane fills; the other reads most.
  void choose_habits() {
    const auto sleeper = random_() % 3;
    for (std::size_t who = 0; who < 2; ++who) {
      auto& habits = habits_[who];
      habits.clear();
      for (const auto kind :
           {Move::start, Move::open, Move::cancel, Move::answer, Move::accept, Move::data,
            Move::confirm, Move::finish, Move::read, Move::read_all}) {
        const bool is_read = kind == Move::read || kind == Move::read_all;
        const auto most = is_read && who == sleeper ? 1 : kind == Move::data ? 80 : 25;
        habits.push_back({random_() % static_cast<std::uint64_t>(most), kind});
      }
    }
  }

  // A request, which a slab may precede.
  bool start(std::size_t who, std::uint32_t slot, bool is_stream) {
    auto& end = ends_[who];
    if (end.own[slot] != Call::none) return true;
    if (is_stream && end.streams == limits_.streams) return true;
    end.streams += is_stream ? 1 : 0;
    end.own[slot] = Call::open;
    end.is_stream[slot] = is_stream;
    end.opened[slot] = {};
    const auto generation = ++end.generations[slot];
    if (is_stream) return send(who, RecordKind::open, slot, generation);
    if (random_() % 4 != 0 && !send(who, RecordKind::lend, slot, generation)) return false;
    return send(who, RecordKind::request, slot, generation);
  }

  // Something of a stream, if it is its turn. `is_opener`: of the one that this end has opened.
  bool use(std::size_t who, Move kind, std::uint32_t slot, Way& way, bool is_opener) {
    CallId id{.slot = slot, .is_readers = !is_opener};
    id.generation = ends_[is_opener ? who : 1 - who].generations[slot];
    switch (kind) {
      case Move::data:
        if (!way.may_send || way.has_finished || way.sent == kStreamPieces) return true;
        ++way.sent;
        return send(who, RecordKind::data, id);
      case Move::confirm:
        if (way.received < kStreamConfirmed) return true;
        id.detail = way.received;
        way.received = 0;
        return send(who, RecordKind::window, id);
      default:
        // The opener need not wait for the acceptance.
        if (way.has_finished) return true;
        way.has_finished = true;
        return send(who, RecordKind::finish, id);
    }
  }

  bool send(std::size_t who, RecordKind kind, std::uint32_t slot, std::uint32_t generation) {
    return send(who, kind, CallId{.slot = slot, .generation = generation});
  }
  bool send(std::size_t who, RecordKind kind, const CallId& id) {
    auto& producer = lanes_[who].producer;
    const bool is_large =
        kind == RecordKind::request || kind == RecordKind::open || kind == RecordKind::reply;
    // Mostly the largest; the others move the laps about. A slab is named in one cell.
    const std::size_t bytes = !is_large ? 0 : random_() % 4 == 0 ? random_() % 481 : 480;
    const std::vector<std::byte> payload(bytes);
    mews::layout::Descriptor record;
    record.kind = kind;
    record.correlation = id.pack();
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
      take(end, record.kind, id);
      consumer.advance(record);
      (void)consumer.release_cells(Look::record);
    }
  }

  static void take(End& end, RecordKind kind, const CallId& id) {
    switch (kind) {
      case RecordKind::request:
      case RecordKind::open:
        end.asked[id.slot] = true;
        end.is_asked_stream[id.slot] = kind == RecordKind::open;
        end.accepted[id.slot] = {};
        return;
      case RecordKind::reply:
        if (end.is_stream[id.slot]) --end.streams;
        end.own[id.slot] = Call::none;
        end.is_stream[id.slot] = false;
        return;
      case RecordKind::accept:
        end.opened[id.slot].may_send = end.own[id.slot] == Call::open;
        return;
      default:
        break;
    }
    // What has crossed the answer is dropped.
    if (!id.is_readers && !end.asked[id.slot]) return;
    auto& way = id.is_readers ? end.opened[id.slot] : end.accepted[id.slot];
    if (kind == RecordKind::data) ++way.received;
    if (kind == RecordKind::window) way.sent -= id.detail;
  }

  LinkLimits limits_;
  std::uint32_t calls_;
  std::array<mews_test::Lane, 2> lanes_;
  std::array<End, 2> ends_;
  std::array<std::vector<Habit>, 2> habits_;
  Random random_;
};

}  // namespace

TEST_CASE(
    "link room: all that open calls and streams send fits a lane, in whatever order it comes") {
  for (const std::uint32_t ring_cells : {128u, 256u, 512u, 1024u, 2048u}) {
    INFO(ring_cells << " cells");
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      INFO("seed " << seed);
      Pair pair(ring_cells, seed);
      for (int i = 0; i < 20'000; ++i)
        REQUIRE(pair.move());
    }
  }
}
