// SPDX-License-Identifier: MIT
#include <cstdint>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "mews/layout/limits.hpp"
#include "mews/layout/truth_word.hpp"

namespace {

using mews::layout::Phase;
using mews::layout::TruthWord;

constexpr TruthWord kLargest{.phase = Phase::in_flight,
                             .holder = mews::layout::kMaxPeers - 1,
                             .lane = mews::layout::kMaxLanes - 1,
                             .backed_eighths = mews::layout::kFullyBacked,
                             .generation = ~0U};

}  // namespace

TEST_CASE("truth word: each field lies in the bits that the diagram says") {
  CHECK(TruthWord{.phase = Phase::in_flight}.pack() == 2);
  CHECK(TruthWord{.holder = 1}.pack() == std::uint64_t{1} << 3);
  CHECK(TruthWord{.lane = 1}.pack() == std::uint64_t{1} << 15);
  CHECK(TruthWord{.backed_eighths = 1}.pack() == std::uint64_t{1} << 28);
  CHECK(TruthWord{.generation = 1}.pack() == std::uint64_t{1} << 32);
}

TEST_CASE("truth word: the largest value of every field survives packing") {
  CHECK(TruthWord::unpack(kLargest.pack()) == kLargest);
  CHECK(TruthWord::unpack(TruthWord{}.pack()) == TruthWord{});
}

TEST_CASE("truth word: any 64 bits are unpacked and packed without loss") {
  mews_test::Random random(mews_test::make_seed("truth word"));
  for (int i = 0; i < 10000; ++i) {
    const auto bits = random();
    if (TruthWord::unpack(bits).pack() != bits) FAIL("lost bits of " << bits);
  }
}

TEST_CASE("truth word: the generation moves on exactly when a free slab is taken") {
  const TruthWord free{.backed_eighths = 3, .generation = 41};
  const auto held = free.held_by(7);
  CHECK(held == TruthWord{Phase::held, 7, 0, 3, 42});
  const auto sent = held.in_flight_on(9);
  CHECK(sent == TruthWord{Phase::in_flight, 7, 9, 3, 42});
  CHECK(sent.held_by(2) == TruthWord{Phase::held, 2, 0, 3, 42});
  CHECK(sent.held_by(2).freed() == TruthWord{Phase::free, 0, 0, 3, 42});
  CHECK(sent.freed() == TruthWord{Phase::free, 0, 0, 3, 42});
}

TEST_CASE("truth word: the generation wraps without touching other fields") {
  const TruthWord free{.backed_eighths = 8, .generation = ~0U};
  CHECK(free.held_by(4095) == TruthWord{Phase::held, 4095, 0, 8, 0});
}

TEST_CASE("truth word: the backed eighths of a slab change alone") {
  CHECK(kLargest.backed_by(5) ==
        TruthWord{kLargest.phase, kLargest.holder, kLargest.lane, 5, kLargest.generation});
}
