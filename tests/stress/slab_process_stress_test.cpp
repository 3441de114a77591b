// SPDX-License-Identifier: MIT
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "mews/mem/census.hpp"
#include "mews/mem/slab_pool.hpp"
#include "mews/ring/lane_consumer.hpp"
#include "mews/ring/lane_producer.hpp"
#include "slab_user.hpp"
#include "stress_support.hpp"

namespace {

using mews::LaneId;
using mews::PeerId;
using mews::layout::Descriptor;
using mews::mem::Arena;
using mews::mem::SlabPool;
using mews::ring::Look;
using mews::ring::Push;
using mews_test::between;
using mews_test::Random;
using stress::SlabUser;

mews_test::ArenaSpec scarce() {
  return {.fallback_classes = 1,
          .classes = {{4096, 515}, {65536, 67}, {std::uint64_t{4} << 20, 6}}};
}

struct Share {
  unsigned peer;
  unsigned threads;
  std::uint64_t steps;  ///< of each thread
  std::uint64_t seed;
};

/// One process's part: threads that claim and release; what went wrong, if anything.
std::string use(const Arena& arena, const Share& share) {
  SlabPool pool(arena, PeerId{share.peer});
  stress::Complaints complaints;
  stress::run_threads(share.threads, [&](unsigned i) {
    const auto id = share.peer * 100 + i;
    SlabUser user(pool, id, share.seed + id, 150);
    for (std::uint64_t step = 0; step < share.steps && !complaints.any(); ++step) {
      if (auto complaint = user.step(); !complaint.empty()) complaints.add(std::move(complaint));
    }
    if (auto complaint = user.release_all(); !complaint.empty()) complaints.add(complaint);
  });
  return complaints.all();
}

/// Prints what a child has to say, and makes it the exit code that `Fork` reports.
int exit_code(const std::string& complaint) {
  if (!complaint.empty()) std::fprintf(stderr, "child: %s\n", complaint.c_str());
  return complaint.empty() ? 0 : 1;
}

struct Flow {
  LaneId lane;
  PeerId sender;
  PeerId receiver;
  std::uint64_t messages;
  std::uint64_t seed;
};

std::string send_slabs(const Arena& arena, const Flow& flow) {
  SlabPool pool(arena, flow.sender);
  mews::ring::LaneProducer producer(arena.lane(flow.lane), arena.cells(flow.lane));
  Random random(flow.seed);
  stress::Idle idle;
  mews::Deadline patience(stress::kPatience);  // with each message
  for (std::uint64_t i = 0; i < flow.messages && !patience.has_passed();) {
    const std::uint64_t bytes = between(random, 0, 99) == 0 ? std::uint64_t{9} << 20 : 4096;
    auto slab = mews_test::try_claim(pool, bytes);
    if (!slab || !producer.has_room(1, mews::ring::Room::ordinary)) {
      if (slab && !pool.release(*slab)) return "a claimed slab could not be released";
      idle.wait();
      continue;
    }
    SlabUser::sign(*slab, {flow.seed, i});
    if (!pool.mark_in_flight(*slab, flow.lane)) return "a claimed slab could not be sent";
    Descriptor record;
    record.correlation = i;
    record.bytes = bytes;
    record.slab_class = static_cast<std::uint8_t>(slab->size_class.value());
    record.slab_index = slab->first.value();
    record.generation = mews::layout::TruthWord::unpack(slab->word).generation;
    if (producer.try_stage(record, {}, mews::ring::Room::ordinary) != Push::done) return "no room";
    producer.publish();
    ++i;
    patience = mews::Deadline(stress::kPatience);
  }
  return patience.has_passed() ? "the receiver does not free what it gets" : "";
}

std::string receive_slabs(const Arena& arena, const Flow& flow) {
  SlabPool pool(arena, flow.receiver);
  mews::ring::LaneConsumer consumer(arena.lane(flow.lane), arena.cells(flow.lane));
  stress::Idle idle;
  mews::Deadline patience(stress::kPatience);  // with each message
  Descriptor record;
  for (std::uint64_t i = 0; i < flow.messages && !patience.has_passed();) {
    const auto look = consumer.look(record);
    if (look == Look::corrupt) return "the lane is corrupt";
    if (look == Look::record) {
      const auto slab =
          mews_test::try_accept(pool, mews::mem::handle_of(record), flow.lane, flow.sender);
      if (!slab) return "message " + std::to_string(i) + ": its slab is refused";
      if (record.correlation != i) return "messages are out of order";
      if (auto complaint = SlabUser::check(*slab, {flow.seed, i}); !complaint.empty()) {
        return complaint;
      }
      consumer.advance(record);
      if (!pool.release(*slab)) return "a received slab could not be released";
      ++i;
      patience = mews::Deadline(stress::kPatience);
    }
    static_cast<void>(consumer.release_cells(look));
    if (look == Look::empty) idle.wait();
  }
  return patience.has_passed() ? "the sender sends nothing" : "";
}

}  // namespace

TEST_CASE("slab pool: processes are never handed one slab twice, and lose none") {
  const auto arena = mews_test::make_arena(scarce());
  const auto seed = mews_test::make_seed("slab processes");
  const auto steps = mews_test::scaled(600'000);
  std::vector<std::unique_ptr<os_test::Fork>> children;
  for (unsigned peer = 1; peer < 4; ++peer) {
    children.push_back(std::make_unique<os_test::Fork>([&, peer] {
      const auto own = mews_test::attach_to(arena.file());
      if (!own) return exit_code(own.error().message());
      return exit_code(use(*own, {.peer = peer, .threads = 2, .steps = steps, .seed = seed}));
    }));
  }
  CHECK(use(arena, {.peer = 0, .threads = 1, .steps = steps, .seed = seed}) == "");
  for (const auto& child : children)
    CHECK(child->outcome() == "exit code 0");
  CHECK(mews::mem::audit(arena).is_all_free());
}

TEST_CASE("slab pool: slabs that travel between threads arrive signed, and all come back") {
  const auto arena = mews_test::make_arena(scarce());
  const Flow flow{.lane = LaneId{0},
                  .sender = PeerId{1},
                  .receiver = PeerId{0},
                  .messages = mews_test::scaled(400'000),
                  .seed = mews_test::make_seed("slab flow")};
  std::array<std::string, 2> complaints;
  stress::run_threads(2, [&](unsigned i) {
    complaints[i] = i == 0 ? send_slabs(arena, flow) : receive_slabs(arena, flow);
  });
  CHECK(complaints[0] == "");
  CHECK(complaints[1] == "");
  CHECK(mews::mem::audit(arena).is_all_free());
}

TEST_CASE("slab pool: slabs that travel between processes arrive signed, and all come back") {
  const auto arena = mews_test::make_arena(scarce());
  const Flow flow{.lane = LaneId{1},
                  .sender = PeerId{0},
                  .receiver = PeerId{1},
                  .messages = mews_test::scaled(400'000),
                  .seed = mews_test::make_seed("slab flow")};
  os_test::Fork child([&] {
    const auto own = mews_test::attach_to(arena.file());
    return exit_code(own ? receive_slabs(*own, flow) : own.error().message());
  });
  CHECK(send_slabs(arena, flow) == "");
  CHECK(child.outcome() == "exit code 0");
  CHECK(mews::mem::audit(arena).is_all_free());
}
