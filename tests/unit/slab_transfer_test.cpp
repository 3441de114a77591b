// SPDX-License-Identifier: MIT
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "../support/catch.hpp"
#include "../support/slab_scene.hpp"
#include "mews/mem/census.hpp"

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

/// A slab of 64 KiB of which 10000 bytes are on their way from plugin 1 to plugin 2.
struct Transfer : SlabScene {
  Slab slab = try_claim(one, 10000 + 8192).value();
  mews::mem::SlabHandle claim{};

  Transfer() {
    std::memset(slab.data, 7, 10000);
    if (!one.mark_in_flight(slab, kLane)) throw std::runtime_error("the slab could not be sent");
    claim = claim_of(slab, 10000);
  }
  using SlabScene::word;
  [[nodiscard]] TruthWord word() const { return word(slab); }
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
  const auto got = try_accept(t.two, t.claim, kLane, kSender);
  REQUIRE(got);
  CHECK((got->data == t.slab.data && got->count == 1 && capacity_bytes(t.arena, *got) == 65536));
  CHECK(got->data[9999] == std::byte{7});
  CHECK((t.word().phase == Phase::held && t.word().holder == 2));
  CHECK(t.word().generation == t.claim.generation);
  CHECK(t.two.release(*got));
  CHECK(audit(t.arena).is_all_free());
}

TEST_CASE("slab transfer: a second take of the same record is refused") {
  Transfer t;
  REQUIRE(try_accept(t.two, t.claim, kLane, kSender));
  CHECK_FALSE(try_accept(t.two, t.claim, kLane, kSender));
  CHECK(t.word().holder == 2);
}

TEST_CASE("slab transfer: a claim with any wrong field is refused, and no slab changes hands") {
  Transfer t;
  const auto before = t.word();
  const auto refuses = [&](mews::mem::SlabHandle claim, LaneId lane = kLane,
                           PeerId sender = kSender) {
    const bool is_refused = !try_accept(t.two, claim, lane, sender);
    return is_refused && t.word() == before && !holds_any(t.arena, PeerId{2});
  };
  const auto with = [&](auto member, auto value) {
    auto claim = t.claim;
    claim.*member = value;
    return claim;
  };
  for (const std::uint32_t size_class : {0U, 1U, 3U, 4U, 15U, 16U, 255U, ~0U}) {
    CHECK(refuses(with(&mews::mem::SlabHandle::size_class, size_class)));
  }
  for (const std::uint32_t index : {t.claim.index + 1, 69U, 70U, 71U, 1U << 24, ~0U}) {
    CHECK(refuses(with(&mews::mem::SlabHandle::index, index)));
  }
  for (const std::uint32_t generation : {t.claim.generation - 1, t.claim.generation + 1, ~0U}) {
    CHECK(refuses(with(&mews::mem::SlabHandle::generation, generation)));
  }
  // A run exists in the largest class alone.
  for (const std::uint64_t bytes : {std::uint64_t{65537}, ~std::uint64_t{0}}) {
    CHECK(refuses(with(&mews::mem::SlabHandle::bytes, bytes)));
  }
  for (const std::uint32_t lane : {0U, 3U, 5U, 6U})
    CHECK(refuses(t.claim, LaneId{lane}));
  for (const std::uint32_t sender : {0U, 2U, 3U})
    CHECK(refuses(t.claim, kLane, PeerId{sender}));
  CHECK(try_accept(t.two, t.claim, kLane, kSender));
}

// Three eighths of the slab have memory behind them, whatever its word says.
TEST_CASE("slab transfer: bytes that the sender has no memory for are zeroes to the receiver") {
  const auto eighths = static_cast<std::uint8_t>(GENERATE(0, 3, 8, 15));
  Transfer t;
  t.arena.view(k64KiB).words[t.claim.index].store(t.word().backed_by(eighths).pack(),
                                                  std::memory_order_relaxed);
  t.claim.bytes = 65536;
  const auto slab = try_accept(t.two, t.claim, kLane, kSender);
  REQUIRE(slab);
  CHECK(slab->data[65535] == std::byte{0});
}

TEST_CASE("slab transfer: a slab that is free, or held, is not taken") {
  Transfer t;
  REQUIRE(t.one.revoke(t.slab, kLane));
  CHECK_FALSE(try_accept(t.two, t.claim, kLane, kSender));
  CHECK(t.one.release(t.slab));
  CHECK_FALSE(try_accept(t.two, t.claim, kLane, kSender));
  CHECK(t.word().phase == Phase::free);
}

TEST_CASE("slab transfer: a run that would leave its class is refused") {
  SlabScene scene;
  const auto run = sent(scene.one, 32 * kMiB, kLane);
  for (const auto bytes : {32 * kMiB + 1, std::uint64_t{1} << 39, ~std::uint64_t{0}}) {
    CHECK_FALSE(try_accept(scene.two, claim_of(run, bytes), kLane, kSender));
  }
  auto claim = claim_of(run, 32 * kMiB);
  claim.index = 1;
  CHECK_FALSE(try_accept(scene.two, claim, kLane, kSender));
  CHECK_FALSE(holds_any(scene.arena, PeerId{2}));
}

TEST_CASE("slab transfer: what could not be published is held again and can be released") {
  Transfer t;
  REQUIRE(t.one.revoke(t.slab, kLane));
  CHECK((t.word().phase == Phase::held && t.word().holder == 1));
  CHECK(t.word().pack() == t.slab.word);
  CHECK(t.one.release(t.slab));
  CHECK(audit(t.arena).is_all_free());
}

TEST_CASE("slab transfer: a slab that is in flight is not its sender's to release") {
  Transfer t;
  CHECK_FALSE(t.one.release(t.slab));
  CHECK(t.word().phase == Phase::in_flight);
}

TEST_CASE("slab transfer: what was sent to the dead can be held again once") {
  Transfer t;
  CHECK(t.one.revoke(t.slab, kLane));
  CHECK_FALSE(t.one.revoke(t.slab, kLane));
  CHECK(t.word().phase == Phase::held);
}

TEST_CASE("slab transfer: a slab that was taken away can be neither sent nor released") {
  SlabScene scene;
  auto slab = try_claim(scene.one, 100).value();
  scene.set(slab, 0, scene.word(slab).freed());
  const auto remembered = slab;
  CHECK_FALSE(scene.one.mark_in_flight(slab, kLane));
  CHECK_FALSE(scene.one.release(remembered));
  CHECK(audit(scene.arena).is_all_free());
}

TEST_CASE("slab transfer: what the host took back while it was in flight is not held again") {
  Transfer t;
  t.set(t.slab, 0, t.word().freed());
  CHECK_FALSE(t.one.revoke(t.slab, kLane));
  CHECK(audit(t.arena).is_all_free());
}
