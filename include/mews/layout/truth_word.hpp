// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/layout/limits.hpp"

/// The truth word: one 64-bit word per slab is the slab's whole state.
///
///   63            32 31   28 27        15 14         3 2     0
///  +----------------+-------+------------+------------+-------+
///  |   generation   | backed|    lane    |   holder   | phase |
///  +----------------+-------+------------+------------+-------+
///
/// field       bits    meaning
/// phase       0..2    free 0, held 1, in_flight 2
/// holder      3..14   peer index of the holder (held) or the sender (in_flight), else 0
/// lane        15..27  lane index (in_flight), else 0
/// backed      28..31  eighths of the slab, from its start, that have memory behind them (0..8)
/// generation  32..63  +1 at every free -> held
///
/// transition                   by                                     how
/// free -> held                 the allocating peer                    CAS, generation + 1
/// held -> in_flight            the sender, before it publishes        CAS
/// in_flight -> held            the receiver, before the head moves    CAS; failure = bad record
/// in_flight -> held            the sender, if it cannot publish       CAS
/// in_flight -> free            the sender, of a run freed in part     CAS
/// held -> free                 the holder                             CAS, then wake waiters
/// held -> held, more backed    the holder                             CAS
/// held / in_flight -> free     the host, for a peer known to be dead  CAS
///
/// Zero is "free, never backed": a fresh arena needs no initialisation. Every transition is one
/// compare-exchange on the whole word; the generation makes a stale expectation fail (it wraps
/// after 2^32 reuses of one slab within one stalled operation).
namespace mews::inline MEWS_LAYOUT::layout {

enum class Phase : std::uint8_t { free = 0, held = 1, in_flight = 2 };

struct TruthWord {
  Phase phase = Phase::free;
  std::uint16_t holder = 0;
  std::uint16_t lane = 0;
  std::uint8_t backed_eighths = 0;
  std::uint32_t generation = 0;

  friend constexpr bool operator==(const TruthWord&, const TruthWord&) noexcept = default;

  [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
    return std::uint64_t{static_cast<std::uint8_t>(phase)} | (std::uint64_t{holder} & 0xfff) << 3 |
           (std::uint64_t{lane} & 0x1fff) << 15 | (std::uint64_t{backed_eighths} & 0xf) << 28 |
           std::uint64_t{generation} << 32;
  }

  [[nodiscard]] static constexpr TruthWord unpack(std::uint64_t word) noexcept {
    return {.phase = static_cast<Phase>(word & 0x7),
            .holder = static_cast<std::uint16_t>(word >> 3 & 0xfff),
            .lane = static_cast<std::uint16_t>(word >> 15 & 0x1fff),
            .backed_eighths = static_cast<std::uint8_t>(word >> 28 & 0xf),
            .generation = static_cast<std::uint32_t>(word >> 32)};
  }

  [[nodiscard]] constexpr TruthWord held_by(std::uint16_t peer) const noexcept {
    return {.phase = Phase::held,
            .holder = peer,
            .lane = 0,
            .backed_eighths = backed_eighths,
            .generation = phase == Phase::free ? generation + 1 : generation};
  }
  [[nodiscard]] constexpr TruthWord in_flight_on(std::uint16_t lane_index) const noexcept {
    return {.phase = Phase::in_flight,
            .holder = holder,
            .lane = lane_index,
            .backed_eighths = backed_eighths,
            .generation = generation};
  }
  [[nodiscard]] constexpr TruthWord freed() const noexcept {
    return {.phase = Phase::free,
            .holder = 0,
            .lane = 0,
            .backed_eighths = backed_eighths,
            .generation = generation};
  }
  [[nodiscard]] constexpr TruthWord backed_by(std::uint8_t eighths) const noexcept {
    auto word = *this;
    word.backed_eighths = eighths;
    return word;
  }
};

// The same on packed words, for each message: a mask where the fields would be taken apart and put
// together again.
inline constexpr std::uint64_t kPhaseMask = 0x7;
inline constexpr std::uint64_t kEighthsMask = TruthWord{.backed_eighths = 0xf}.pack();
/// A change of hands keeps generation and backing.
inline constexpr std::uint64_t kKeptMask =
    TruthWord{.backed_eighths = 0xf, .generation = ~0u}.pack();

/// Returns the word of a slab that `peer` holds, without generation and backing.
[[nodiscard]] constexpr std::uint64_t packed_holder(std::uint16_t peer) noexcept {
  return TruthWord{.phase = Phase::held, .holder = peer}.pack();
}
[[nodiscard]] constexpr Phase packed_phase(std::uint64_t word) noexcept {
  return static_cast<Phase>(word & kPhaseMask);
}
/// Returns whether `word` is `of`, with any number of eighths backed.
[[nodiscard]] constexpr bool is_but_for_backing(std::uint64_t word, TruthWord of) noexcept {
  return (word & ~kEighthsMask) == of.pack();
}
/// As `held_by`, of a free word.
[[nodiscard]] constexpr std::uint64_t packed_claim(std::uint64_t free,
                                                   std::uint64_t holder) noexcept {
  return ((free & kKeptMask) + TruthWord{.generation = 1}.pack()) | holder;
}
/// As `held_by`, of a word in flight.
[[nodiscard]] constexpr std::uint64_t packed_held(std::uint64_t sent,
                                                  std::uint64_t holder) noexcept {
  return (sent & kKeptMask) | holder;
}
/// As `in_flight_on`, of a held word, whose lane is 0.
[[nodiscard]] constexpr std::uint64_t packed_in_flight(std::uint64_t held,
                                                       std::uint16_t lane) noexcept {
  return (held & ~kPhaseMask) | TruthWord{.phase = Phase::in_flight, .lane = lane}.pack();
}
/// As `freed`.
[[nodiscard]] constexpr std::uint64_t packed_free(std::uint64_t word) noexcept {
  return word & kKeptMask;
}

inline constexpr std::uint8_t kFullyBacked = 8;

using AtomicTruthWord = base::Atomic<std::uint64_t>;

/// Slabs of this size and larger have a line for each truth word: a sender that claims one does not
/// wait for the line of its neighbour, which the receiver is about to free. (Measured, streams of
/// 256 KiB to 10 MiB of which the header is touched: 11 to 26 % more messages; 1 KiB with all bytes
/// touched: none.) Smaller slabs have eight words to a line, or the table of a named arena, which
/// has memory from the start, would be large beside them.
inline constexpr std::uint64_t kApartSlabBytes = std::uint64_t{64} << 10;

/// Returns the bytes from one truth word of a class to the next.
[[nodiscard]] constexpr std::uint64_t truth_word_stride(std::uint64_t slab_bytes) noexcept {
  return slab_bytes >= kApartSlabBytes ? kLineBytes : sizeof(AtomicTruthWord);
}

/// The truth words of a class.
class TruthWords {
 public:
  TruthWords() noexcept = default;
  TruthWords(std::byte* first, std::uint64_t slab_bytes) noexcept
      : first_(first), stride_(truth_word_stride(slab_bytes)) {}
  [[nodiscard]] AtomicTruthWord& operator[](std::uint64_t slab) const noexcept {
    return *reinterpret_cast<AtomicTruthWord*>(first_ + slab * stride_);
  }

 private:
  std::byte* first_ = nullptr;
  std::uint64_t stride_ = 0;
};

static_assert(truth_word_stride(1024) == 8 && truth_word_stride(kApartSlabBytes) == kLineBytes);
static_assert(sizeof(AtomicTruthWord) == 8 && AtomicTruthWord::is_always_lock_free);
static_assert(kMaxPeers <= 1u << 12 && kMaxLanes <= 1u << 13);
static_assert(TruthWord{}.pack() == 0);
static_assert(TruthWord::unpack(0xfedcba9876543211).pack() == 0xfedcba9876543211);
inline constexpr TruthWord kSampleHeld{
    .phase = Phase::held, .holder = 0xabc, .backed_eighths = 5, .generation = 0xfedcba98};
inline constexpr TruthWord kSampleSent = kSampleHeld.in_flight_on(0x1234);
static_assert(packed_in_flight(kSampleHeld.pack(), 0x1234) == kSampleSent.pack());
static_assert(packed_held(kSampleSent.pack(), packed_holder(0xdef)) ==
              kSampleSent.held_by(0xdef).pack());
static_assert(packed_free(kSampleSent.pack()) == kSampleSent.freed().pack());
static_assert(packed_phase(kSampleSent.pack()) == Phase::in_flight);
static_assert(packed_claim(kSampleSent.freed().pack(), packed_holder(0xdef)) ==
              kSampleSent.freed().held_by(0xdef).pack());
static_assert(packed_claim(TruthWord{.generation = ~0u}.pack(), packed_holder(1)) ==
              TruthWord{.generation = ~0u}.held_by(1).pack());
static_assert(is_but_for_backing(kSampleSent.backed_by(8).pack(), kSampleSent.backed_by(0)));

}  // namespace mews::inline MEWS_LAYOUT::layout
