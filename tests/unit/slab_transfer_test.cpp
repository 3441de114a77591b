// SPDX-License-Identifier: MIT
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/mem/census.hpp"
#include "mews/mem/slab_pool.hpp"

namespace {

using mews::LaneId;
using mews::PeerId;
using mews::layout::Phase;
using mews::layout::TruthWord;
using mews::mem::Slab;
using mews::mem::SlabPool;
using namespace mews_test;

constexpr LaneId kLane{4};
constexpr PeerId kSender{1};

SlabPool::Claim claim_of(const Slab& slab, std::uint64_t bytes) {
  return {.size_class = slab.size_class.value(),
          .index = slab.first.value(),
          .generation = TruthWord::unpack(slab.word).generation,
          .bytes = bytes};
}

/// Two peers, and a slab of 64 KiB of which 10000 bytes are on their way from one to the other.
struct Transfer {
  mews::mem::Arena arena = make_arena();
  SlabPool sender{arena, kSender};
  SlabPool receiver{arena, PeerId{2}};
  Slab slab = try_claim(sender, 10000 + 8192).value();
  SlabPool::Claim claim{};

  Transfer() {
    std::memset(slab.data, 7, 10000);
    if (!sender.send(slab, kLane)) throw std::runtime_error("the slab could not be sent");
    claim = claim_of(slab, 10000);
  }
  [[nodiscard]] TruthWord word() const { return truth(arena, k64KiB, slab.first.value()); }
};

}  // namespace

TEST_CASE("slab transfer: a sent slab is in flight on its lane, by its sender") {
  const Transfer t;
  const auto word = t.word();
  CHECK((word.phase == Phase::in_flight && word.holder == 1 && word.lane == 4));
  CHECK(word.pack() == t.slab.word);
}

TEST_CASE("slab transfer: the receiver holds the same bytes, and frees them") {
  Transfer t;
  const auto got = try_take(t.receiver, t.claim, kLane, kSender);
  REQUIRE(got);
  CHECK((got->data == t.slab.data && got->count == 1 && capacity_bytes(t.arena, *got) == 65536));
  CHECK(got->data[9999] == std::byte{7});
  CHECK((t.word().phase == Phase::held && t.word().holder == 2));
  CHECK(t.word().generation == t.claim.generation);
  CHECK(t.receiver.release(*got));
  CHECK(audit(t.arena).is_all_free());
}

TEST_CASE("slab transfer: a second take of the same record is refused") {
  Transfer t;
  REQUIRE(try_take(t.receiver, t.claim, kLane, kSender));
  CHECK_FALSE(try_take(t.receiver, t.claim, kLane, kSender));
  CHECK(t.word().holder == 2);
}

TEST_CASE("slab transfer: a claim with any wrong field is refused, and no slab changes hands") {
  Transfer t;
  const auto before = t.word();
  const auto refuses = [&](SlabPool::Claim claim, LaneId lane = kLane, PeerId sender = kSender) {
    const bool is_refused = !try_take(t.receiver, claim, lane, sender);
    return is_refused && t.word() == before && !holds_any(t.arena, PeerId{2});
  };
  const auto with = [&](auto member, auto value) {
    auto claim = t.claim;
    claim.*member = value;
    return claim;
  };
  using Claim = SlabPool::Claim;
  for (const std::uint32_t size_class : {0U, 1U, 3U, 4U, 15U, 16U, 255U, ~0U}) {
    CHECK(refuses(with(&Claim::size_class, size_class)));
  }
  for (const std::uint32_t index : {t.claim.index + 1, 69U, 70U, 71U, 1U << 24, ~0U}) {
    CHECK(refuses(with(&Claim::index, index)));
  }
  for (const std::uint32_t generation : {t.claim.generation - 1, t.claim.generation + 1, ~0U}) {
    CHECK(refuses(with(&Claim::generation, generation)));
  }
  // Three eighths of the slab have memory behind them; a run exists in the largest class alone.
  for (const std::uint64_t bytes :
       {std::uint64_t{24577}, std::uint64_t{65536}, std::uint64_t{65537}, ~std::uint64_t{0}}) {
    CHECK(refuses(with(&Claim::bytes, bytes)));
  }
  for (const std::uint32_t lane : {0U, 3U, 5U, 6U})
    CHECK(refuses(t.claim, LaneId{lane}));
  for (const std::uint32_t sender : {0U, 2U, 3U})
    CHECK(refuses(t.claim, kLane, PeerId{sender}));
  CHECK(try_take(t.receiver, t.claim, kLane, kSender));
}

TEST_CASE("slab transfer: bytes up to the last that has memory behind it are taken") {
  Transfer t;
  t.claim.bytes = 24576;
  CHECK(try_take(t.receiver, t.claim, kLane, kSender));
}

TEST_CASE("slab transfer: a slab that is free, or held, is not taken") {
  Transfer t;
  REQUIRE(t.sender.unsend(t.slab, kLane));
  CHECK_FALSE(try_take(t.receiver, t.claim, kLane, kSender));
  CHECK(t.sender.release(t.slab));
  CHECK_FALSE(try_take(t.receiver, t.claim, kLane, kSender));
  CHECK(t.word().phase == Phase::free);
}

TEST_CASE("slab transfer: a run that would leave its class is refused") {
  const auto arena = make_arena();
  SlabPool sender(arena, kSender);
  SlabPool receiver(arena, PeerId{2});
  auto run = try_claim(sender, std::uint64_t{32} << 20).value();
  REQUIRE(sender.send(run, kLane));
  for (const std::uint64_t bytes :
       {(std::uint64_t{32} << 20) + 1, std::uint64_t{1} << 39, ~std::uint64_t{0}}) {
    CHECK_FALSE(try_take(receiver, claim_of(run, bytes), kLane, kSender));
  }
  auto claim = claim_of(run, std::uint64_t{32} << 20);
  claim.index = 1;
  CHECK_FALSE(try_take(receiver, claim, kLane, kSender));
  CHECK_FALSE(holds_any(arena, PeerId{2}));
}

TEST_CASE("slab transfer: what could not be published is held again and can be released") {
  Transfer t;
  REQUIRE(t.sender.unsend(t.slab, kLane));
  CHECK((t.word().phase == Phase::held && t.word().holder == 1));
  CHECK(t.word().pack() == t.slab.word);
  CHECK(t.sender.release(t.slab));
  CHECK(audit(t.arena).is_all_free());
}

TEST_CASE("slab transfer: a slab that is in flight is not its sender's to release") {
  Transfer t;
  CHECK_FALSE(t.sender.release(t.slab));
  CHECK(t.word().phase == Phase::in_flight);
}

TEST_CASE("slab transfer: what was sent to the dead can be held again once") {
  Transfer t;
  CHECK(t.sender.unsend(t.slab, kLane));
  CHECK_FALSE(t.sender.unsend(t.slab, kLane));
  CHECK(t.word().phase == Phase::held);
}

TEST_CASE("slab transfer: a slab that was taken away can be neither sent nor released") {
  const auto arena = make_arena();
  SlabPool pool(arena, kSender);
  auto slab = try_claim(pool, 100).value();
  auto& word = arena.view(kKiB).words[slab.first.value()];
  word.store(truth(arena, kKiB, slab.first.value()).freed().pack(), std::memory_order_relaxed);
  const auto remembered = slab;
  CHECK_FALSE(pool.send(slab, kLane));
  CHECK_FALSE(pool.release(remembered));
  CHECK(audit(arena).is_all_free());
}

TEST_CASE("slab transfer: what the host took back while it was in flight is not held again") {
  Transfer t;
  auto& word = t.arena.view(k64KiB).words[t.slab.first.value()];
  word.store(t.word().freed().pack(), std::memory_order_relaxed);
  CHECK_FALSE(t.sender.unsend(t.slab, kLane));
  CHECK(audit(t.arena).is_all_free());
}
