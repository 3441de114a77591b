// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/layout/limits.hpp"

/// The numbers of a link's calls. A call has a slot of its caller's table; each end may have up to
/// 64 calls open at once.
namespace mews::inline MEWS_LAYOUT::layout {

inline constexpr std::uint32_t kMaxCalls = 64;
inline constexpr std::uint32_t kMaxStreams = kMaxCalls / 2;

/// The correlation of a link's record.
///
///  63  62 61    56 55                 32 31                                0
///  +-----+--------+---------------------+-----------------------------------+
///  |0 |of |  slot  |  generation, from 1 |  detail                           |
///  +-----+--------+---------------------+-----------------------------------+
///
/// of: of a stream's data, finish and window, 1 where the reader has opened the stream, and not the
/// sender; otherwise 0.
/// detail: of a request its deadline (`pack_deadline`); of a failure the error code; of open and
/// accept the sender's window (`pack_window`); of a window the number of confirmed pieces;
/// otherwise 0.
/// The generation counts the calls of a slot, so that one record too many is found.
struct CallId {
  static constexpr std::uint32_t kLastGeneration = (1u << 24) - 1;

  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint32_t detail = 0;
  bool is_readers = false;

  [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
    return std::uint64_t{is_readers} << 62 | std::uint64_t{slot} << 56 |
           std::uint64_t{generation} << 32 | detail;
  }
  [[nodiscard]] static constexpr CallId unpack(std::uint64_t correlation) noexcept {
    // The upper bit is left in the slot: no table has so many.
    return {.slot = static_cast<std::uint32_t>(correlation >> 56) & ~0x40u,
            .generation = static_cast<std::uint32_t>(correlation >> 32) & kLastGeneration,
            .detail = static_cast<std::uint32_t>(correlation),
            .is_readers = (correlation >> 62 & 1) != 0};
  }
  [[nodiscard]] static constexpr std::uint32_t after(std::uint32_t generation) noexcept {
    return generation == kLastGeneration ? 1 : generation + 1;
  }
};

/// A deadline travels as 32 bits: units of 2^14 ns (16 us) of the steady clock, which all processes
/// of a machine share, rounded up; 0 is none. One that is further away than half of the range (9.7
/// hours) travels as none.
inline constexpr int kDeadlineShift = 14;
inline constexpr std::int64_t kFarthestDeadline = (std::int64_t{1} << 31) - 2;

[[nodiscard]] constexpr std::uint32_t pack_deadline(std::int64_t at_ns,
                                                    std::int64_t now_ns) noexcept {
  const auto now = now_ns >> kDeadlineShift;
  // One that has passed long ago has passed now.
  const auto units = std::max(((at_ns - 1) >> kDeadlineShift) + 1, now);
  if (units - now > kFarthestDeadline) return 0;
  const auto packed = static_cast<std::uint32_t>(units);
  return packed == 0 ? 1 : packed;
}
/// Returns the deadline in nanoseconds of the steady clock; not for 0.
[[nodiscard]] constexpr std::int64_t unpack_deadline(std::uint32_t packed,
                                                     std::int64_t now_ns) noexcept {
  const auto now = now_ns >> kDeadlineShift;
  const auto left = static_cast<std::int32_t>(packed - static_cast<std::uint32_t>(now));
  return (now + left) << kDeadlineShift;
}

/// For each slot of a caller, the word in which the other end says that it has taken the call: that
/// the program there has got it. After a death the caller reads it to know whether its call was
/// begun.
///
///  63                                      24 23                 0
///  +-----------------------------------------+--------------------+
///  |  when, in units of 1024 ns              |  generation        |
///  +-----------------------------------------+--------------------+
///
/// Written by the reader of the requests, read by their sender. 0: none was taken.
struct alignas(kLineBytes) CallsTaken {
  base::Atomic<std::uint64_t> words[kMaxCalls];
};

[[nodiscard]] constexpr std::uint64_t pack_taken(std::uint32_t generation,
                                                 std::int64_t now_ns) noexcept {
  return static_cast<std::uint64_t>(now_ns >> 10) << 24 | generation;
}
[[nodiscard]] constexpr bool is_taken(std::uint64_t word, std::uint32_t generation) noexcept {
  return (word & CallId::kLastGeneration) == generation;
}
/// Returns how long ago, in nanoseconds.
[[nodiscard]] constexpr std::int64_t taken_for(std::uint64_t word, std::int64_t now_ns) noexcept {
  const auto units = (static_cast<std::uint64_t>(now_ns >> 10) << 24) - (word & ~0xff'ffffull);
  return static_cast<std::int64_t>(units >> 24) << 10;
}

/// What each end of a link may have open on lanes of so many cells. `calls` is 0 where the ring is
/// too small for a link; `streams` where it is too small for streams. A stream is a call that stays
/// open, and counts as one.
///
/// So many that all of their records fit a lane together, and nobody ever waits for room. Of each
/// call of its sender a lane has at most one slab lent for the reply, one request and two cancels
/// (the second is sent after the first call of the slot was answered, before that one was read), of
/// each call of its reader one answer: 19 cells. Of each stream of either end it has
/// `kStreamPieces` pieces of data that the reader has not confirmed, the end of them, at most two
/// confirmations (each is of half the pieces, or of a whole window), and for a stream of its reader
/// the acceptance. An opener sends nothing more of a stream before it is accepted, and the acceptor
/// nothing after its answer: records of two streams of one slot are not in a lane together.
///
/// A record may lead over the unread rest of the lap before, whose cells then stay unused until the
/// reader comes there: that doubles all of it. A reader of a link gives cells back when it has a
/// thirty-second of the ring, which counts twice likewise. Fillers take up to 7 cells at the ring's
/// end, and up to 16 elsewhere; one cell is left for the record that closes the channel.
struct LinkLimits {
  std::uint32_t calls = 0;
  std::uint32_t streams = 0;

  [[nodiscard]] static constexpr LinkLimits of(std::uint32_t ring_cells) noexcept;
};

/// Pieces of data that one end of a stream may have sent without a confirmation.
inline constexpr std::uint32_t kStreamPieces = 6;
/// A reader of a stream confirms so many together, or fewer that fill the window.
inline constexpr std::uint32_t kStreamConfirmed = kStreamPieces / 2;
/// A piece of data takes one cell: more bytes than these are in a slab.
inline constexpr std::size_t kStreamInlineBytes = kCellBytes - kDescriptorBytes;

/// Returns the cells that a link's reader keeps before it gives them back.
[[nodiscard]] constexpr std::uint32_t most_owed_cells(std::uint32_t ring_cells) noexcept {
  return ring_cells / 32;
}

constexpr LinkLimits LinkLimits::of(std::uint32_t ring_cells) noexcept {
  constexpr std::uint32_t kFillers = 3 * kMaxRecordCells - 1;
  constexpr std::uint32_t kClose = 1;
  constexpr std::uint32_t kCellsPerCall = 2 * (2 * kMaxRecordCells + 3);
  constexpr std::uint32_t kCellsPerStream = 2 * (2 * (kStreamPieces + 1 + 2) + 1);
  const auto spare = 2 * most_owed_cells(ring_cells) + kFillers + kClose;
  if (ring_cells < spare + kCellsPerCall) return {};
  const auto room = ring_cells - spare;
  // Half of the calls may be streams.
  const auto streams = std::min(room / (2 * kCellsPerCall + kCellsPerStream), kMaxStreams);
  return {.calls = std::min((room - streams * kCellsPerStream) / kCellsPerCall, kMaxCalls),
          .streams = streams};
}

/// The detail of the records that open and accept a stream: the sender's window, in units of 1 KiB.
/// At least 1.
[[nodiscard]] constexpr std::uint32_t pack_window(std::size_t bytes) noexcept {
  const auto units = (bytes + 1023) / 1024;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(units, 1, 0xffff'ffff));
}
[[nodiscard]] constexpr std::uint64_t unpack_window(std::uint32_t detail) noexcept {
  return std::uint64_t{detail} * 1024;
}

static_assert(sizeof(CallsTaken) == 512);
static_assert(LinkLimits::of(64).calls == 0 && LinkLimits::of(128).calls == 2);
static_assert(LinkLimits::of(128).streams == 0 && LinkLimits::of(256).streams == 1);
static_assert(LinkLimits::of(1024).calls == 16 && LinkLimits::of(1024).streams == 8);

}  // namespace mews::inline MEWS_LAYOUT::layout
