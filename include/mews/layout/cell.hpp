// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/layout/limits.hpp"

/// The format of a lane's records. A record is 1 to 8 consecutive cells and never wraps:
///
///  0        8        16       24       32                       64 ...          cells * 64
///  +--------+--------+--------+--------+-------------------------+---------------+
///  | mark   |correla-| extent | type   |  inline payload                         |
///  |        |  tion  |        | gener. |  (records without a slab)               |
///  +--------+--------+--------+--------+-----------------------------------------+
///
/// offset size field        meaning
/// 0      8    mark         which record this is, see below; written last
/// 8      8    correlation  the sender's own id, by which replies find their request; of a
///                          link's records a CallId (call_id.hpp)
/// 16     8    extent       bits 0..39 payload bytes, bits 40..63 the payload's first slab;
///                          of a filler: the cells to skip
/// 24     4    type         the sender's own message type
/// 28     4    generation   that slab's generation
///
/// mark:
///   63                          16 15        8 7    4 3     0
///  +------------------------------+-----------+------+-------+
///  |  1 + the record's position   |   class   | kind | cells |
///  +------------------------------+-----------+------+-------+
///
/// The mark is the publication: positions never repeat, so a cell holds a record for its reader
/// exactly when the mark names the reader's position. There is no separate tail word whose line
/// would have to travel as well. (Measured, two cores of one L3, 64-byte payload: round trip
/// 154 ns against 208 ns with a tail word, one way 20 against 28 ns.)
///
/// A later cell of a record starts with payload, which might look like the mark of the next lap.
/// The producer prevents that: see `LaneProducer`. Zero is an unwritten cell.
///
/// Written by the lane's producer, read by its consumer once published.
namespace mews::inline MEWS_LAYOUT::layout {

enum class RecordKind : std::uint8_t {
  message = 1,  ///< carries the user's payload
  filler = 2,   ///< one cell; skips so many cells as its extent says, itself included
  close = 3,    ///< the producer's side has closed the channel in good order
  // Of a link. The correlation of each is a `CallId`.
  request = 4,  ///< begins a call
  reply = 5,    ///< ends it, with a payload
  failure = 6,  ///< ends it, with an error code and a text
  cancel = 7,   ///< its caller waits no longer; the answer still follows
  lend = 8,     ///< before a request: the slab for its reply
  // Of a stream, which is a call that stays open: a request opens it, an answer ends it.
  open = 9,     ///< as request, and begins a stream
  accept = 10,  ///< the other end takes it
  data = 11,    ///< a piece of data, one cell
  finish = 12,  ///< no more data follows from the sender
  window = 13,  ///< confirms so many pieces as its detail says: the reader has consumed them
};

[[nodiscard]] constexpr bool is_known(RecordKind kind) noexcept {
  return kind >= RecordKind::message && kind <= RecordKind::window;
}
[[nodiscard]] constexpr bool is_of_link(RecordKind kind) noexcept {
  return kind >= RecordKind::request;
}
/// Returns whether it carries bytes of the user's, and may name a slab.
[[nodiscard]] constexpr bool has_payload(RecordKind kind) noexcept {
  return kind != RecordKind::filler && kind != RecordKind::close;
}

inline constexpr std::uint8_t kNoClass = 0xff;
inline constexpr std::uint64_t kMaxPayloadBytes = (std::uint64_t{1} << 40) - 1;

/// A record's first 32 bytes, in private memory.
struct Descriptor {
  std::uint32_t cells = 0;  ///< to the next record: 1..8, of a filler up to the ring's end
  RecordKind kind = RecordKind::message;
  std::uint8_t slab_class = kNoClass;  ///< kNoClass: the payload is inline
  std::uint32_t type = 0;
  std::uint64_t correlation = 0;
  std::uint64_t bytes = 0;
  std::uint32_t slab_index = 0;
  std::uint32_t generation = 0;
};

using AtomicMark = base::Atomic<std::uint64_t>;

struct alignas(kLineBytes) Cell {
  AtomicMark mark;
  std::uint64_t correlation;
  std::uint64_t extent;
  std::uint32_t type;
  std::uint32_t generation;
  std::byte payload[kCellBytes - kDescriptorBytes];
};

/// The upper 48 bits of the mark of a record at `position`.
[[nodiscard]] constexpr std::uint64_t mark_sequence(std::uint64_t position) noexcept {
  return (position + 1) << 16;
}
[[nodiscard]] constexpr bool is_mark_of(std::uint64_t mark, std::uint64_t position) noexcept {
  return (mark ^ mark_sequence(position)) >> 16 == 0;
}
[[nodiscard]] constexpr std::uint64_t make_mark(std::uint64_t position, std::uint32_t cells,
                                                RecordKind kind, std::uint8_t slab_class) noexcept {
  return mark_sequence(position) | std::uint64_t{slab_class} << 8 |
         std::uint64_t{static_cast<std::uint8_t>(kind)} << 4 | cells;
}
[[nodiscard]] constexpr std::uint64_t make_extent(std::uint64_t bytes,
                                                  std::uint32_t slab_index) noexcept {
  return bytes | std::uint64_t{slab_index} << 40;
}

/// Returns the number of cells of a record with `inline_bytes` of payload.
[[nodiscard]] constexpr std::uint32_t record_cells(std::size_t inline_bytes) noexcept {
  return static_cast<std::uint32_t>((kDescriptorBytes + inline_bytes + kCellBytes - 1) /
                                    kCellBytes);
}

static_assert(sizeof(Cell) == kCellBytes && alignof(Cell) == kLineBytes);
static_assert(AtomicMark::is_always_lock_free);
static_assert(offsetof(Cell, mark) == 0 && offsetof(Cell, correlation) == 8);
static_assert(offsetof(Cell, extent) == 16 && offsetof(Cell, type) == 24);
static_assert(offsetof(Cell, generation) == 28 && offsetof(Cell, payload) == kDescriptorBytes);
static_assert(record_cells(0) == 1 && record_cells(32) == 1 && record_cells(33) == 2);
static_assert(record_cells(kMaxInlineBytes) == kMaxRecordCells);
static_assert(kMaxSlabsPerClass <= 1u << 24);

}  // namespace mews::inline MEWS_LAYOUT::layout
