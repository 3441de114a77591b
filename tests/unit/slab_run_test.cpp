// SPDX-License-Identifier: MIT
#include <cstdint>
#include <vector>

#include "../support/catch.hpp"
#include "../support/slab_scene.hpp"
#include "mews/mem/census.hpp"

namespace {

using mews::ErrorCode;
using mews::LaneId;
using mews::PeerId;
using mews::layout::Phase;
using mews::mem::Slab;
using mews::mem::SlabPool;
using namespace mews_test;

/// How many of the largest class's slabs are in `phase`.
std::uint32_t count_in(const mews::mem::Arena& arena, Phase phase) {
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < 8; ++i)
    count += truth(arena, k4MiB, i).phase == phase ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("slab run: a payload above the largest class gets adjacent slabs, all of them backed") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto run = try_claim(pool, 9 * kMiB);
  REQUIRE(run);
  CHECK((run->size_class == k4MiB && run->count == 3 && run->first.value() == 0));
  CHECK(capacity_bytes(arena, *run) == 12 * kMiB);
  CHECK(count_in(arena, Phase::held) == 3);
  CHECK(truth(arena, k4MiB, 1).backed_eighths == 8);
  CHECK(truth(arena, k4MiB, 2).backed_eighths == 2);
  run->data[9 * kMiB - 1] = std::byte{1};
  CHECK(pool.release(*run));
  CHECK_FALSE(pool.release(*run));
  CHECK(audit(arena).is_all_free());
}

TEST_CASE("slab run: the whole class can be one run") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto run = try_claim(pool, 32 * kMiB);
  REQUIRE(run);
  CHECK(run->count == 8);
  CHECK_FALSE(claim_one(pool, k4MiB));
  CHECK(pool.release(*run));
}

TEST_CASE("slab run: a gigabyte travels as one run") {
  const auto arena = make_arena({.classes = {{1024, 4}, {16 * kMiB, 70}}});
  SlabPool sender(arena, PeerId{1});
  SlabPool receiver(arena, PeerId{2});
  auto run = try_claim(sender, 1024 * kMiB);
  REQUIRE(run);
  CHECK(run->count == 64);
  run->data[1024 * kMiB - 1] = std::byte{42};
  REQUIRE(sender.mark_in_flight(*run, LaneId{0}));
  const auto got = try_accept(receiver, claim_of(*run, 1024 * kMiB), LaneId{0}, PeerId{1});
  REQUIRE(got);
  CHECK(got->data[1024 * kMiB - 1] == std::byte{42});
  CHECK(receiver.release(*got));
  CHECK(audit(arena).is_all_free());
}

TEST_CASE("slab run: it is found behind a slab that is taken") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  std::vector<Slab> held;
  for (int i = 0; i < 3; ++i)
    held.push_back(claim_one(pool, k4MiB).value());
  CHECK(pool.release(held[0]));
  CHECK(pool.release(held[1]));
  const auto run = try_claim(pool, 12 * kMiB);
  REQUIRE(run);
  CHECK(run->first.value() == 3);
  const auto small = try_claim(pool, 8 * kMiB);
  REQUIRE(small);
  CHECK(small->first.value() == 0);
}

TEST_CASE("slab run: where no row is long enough nothing stays taken") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  std::vector<Slab> held;
  for (int i = 0; i < 8; ++i)
    held.push_back(claim_one(pool, k4MiB).value());
  for (const std::size_t i : {0U, 1U, 3U, 4U, 6U, 7U})
    CHECK(pool.release(held[i]));
  const auto refused = try_claim(pool, 12 * kMiB);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::no_slab);
  CHECK(count_in(arena, Phase::held) == 2);
  CHECK(try_claim(pool, 8 * kMiB));
}

TEST_CASE("slab run: shrinking frees the tail and keeps the front") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  auto run = try_claim(pool, 20 * kMiB).value();
  CHECK_FALSE(pool.shrink(run, 20 * kMiB));
  CHECK_FALSE(pool.shrink(run, 16 * kMiB + 1));
  CHECK(pool.shrink(run, 8 * kMiB));
  CHECK((run.count == 2 && capacity_bytes(arena, run) == 8 * kMiB));
  CHECK(count_in(arena, Phase::held) == 2);
  CHECK(pool.shrink(run, 0));
  CHECK((run.count == 1 && capacity_bytes(arena, run) == 4 * kMiB));
  CHECK_FALSE(pool.shrink(run, 1));
  CHECK(truth(arena, k4MiB, 0).phase == Phase::held);
  CHECK(pool.release(run));
  CHECK(audit(arena).is_all_free());
}

TEST_CASE("slab run: it is sent, taken and freed as a whole") {
  const auto arena = make_arena();
  SlabPool sender(arena, PeerId{1});
  SlabPool receiver(arena, PeerId{2});
  auto run = try_claim(sender, 12 * kMiB).value();
  REQUIRE(sender.mark_in_flight(run, LaneId{2}));
  CHECK(count_in(arena, Phase::in_flight) == 3);
  const auto got = try_accept(receiver, claim_of(run, 12 * kMiB), LaneId{2}, PeerId{1});
  REQUIRE(got);
  CHECK((got->count == 3 && got->data == run.data && capacity_bytes(arena, *got) == 12 * kMiB));
  CHECK(count_in(arena, Phase::held) == 3);
  CHECK(truth(arena, k4MiB, 2).holder == 2);
  CHECK(receiver.release(*got));
  CHECK(audit(arena).is_all_free());
}

TEST_CASE("slab run: one that was not published is held again as a whole, or was taken back") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  auto run = try_claim(pool, 12 * kMiB).value();
  REQUIRE(pool.mark_in_flight(run, LaneId{2}));
  REQUIRE(pool.revoke(run, LaneId{2}));
  CHECK(count_in(arena, Phase::held) == 3);
  REQUIRE(pool.mark_in_flight(run, LaneId{2}));
  REQUIRE(pool.revoke(run, LaneId{2}));
  CHECK(pool.release(run));
  CHECK(audit(arena).is_all_free());
  CHECK_FALSE(pool.revoke(run, LaneId{2}));
}

TEST_CASE("slab run: one of which a slab is not in flight is refused and does not stay held") {
  const auto arena = make_arena();
  SlabPool sender(arena, PeerId{1});
  SlabPool receiver(arena, PeerId{2});
  for (std::uint32_t bad = 0; bad < 3; ++bad) {
    INFO("slab " << bad);
    auto run = try_claim(sender, 12 * kMiB).value();
    REQUIRE(sender.mark_in_flight(run, LaneId{2}));
    auto& word = arena.view(k4MiB).words[run.first.value() + bad];
    const auto good = truth(arena, k4MiB, run.first.value() + bad);
    word.store(good.held_by(3).pack(), std::memory_order_relaxed);
    CHECK_FALSE(try_accept(receiver, claim_of(run, 12 * kMiB), LaneId{2}, PeerId{1}));
    CHECK_FALSE(holds_any(arena, PeerId{2}));
    CHECK(word.load(std::memory_order_relaxed) == good.held_by(3).pack());
    for (std::uint32_t i = 0; i < 8; ++i) {
      auto& each = arena.view(k4MiB).words[i];
      each.store(truth(arena, k4MiB, i).freed().pack(), std::memory_order_relaxed);
    }
  }
}
