// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "mews/base/atomic.hpp"
#include "mews/base/inline.hpp"
#include "mews/layout/cell.hpp"
#include "mews/layout/lane_state.hpp"
#include "mews/ring/slab_window.hpp"

namespace mews::inline MEWS_LAYOUT::ring {

enum class Look : std::uint8_t {
  record,   ///< the descriptor was filled in
  empty,    ///< nothing is published
  corrupt,  ///< no correct producer writes such a record
};

/// Copies the fields of a record that the mark has not. The copies alone are used from then on: the
/// compiler must not read the cell a second time.
MEWS_HOT void copy_fields(const layout::Cell& cell, layout::Descriptor& out) {
  const auto extent = cell.extent;
  out.correlation = cell.correlation;
  out.type = cell.type;
  out.generation = cell.generation;
  base::compiler_fence();
  out.bytes = extent & layout::kMaxPayloadBytes;
  out.slab_index = static_cast<std::uint32_t>(extent >> 40);
}

/// Copies and checks the record that starts at `position`: cells, kind, and that it lies within
/// the ring. Nothing of it is read a second time, so a producer that scribbles meanwhile can only
/// make it wrong, not unsafe. `mem::SlabPool::accept` checks the payload handle.
[[nodiscard]] inline Look look_at(std::span<const layout::Cell> cells, std::uint64_t position,
                                  layout::Descriptor& out) {
  const auto at = position & (cells.size() - 1);
  const auto& cell = cells[at];
  // [A1] acquire: the record, and the slab it names, before our use of them; partner [R1].
  const auto mark = cell.mark.load(std::memory_order_acquire);
  if (!layout::is_mark_of(mark, position)) return Look::empty;
  out.cells = static_cast<std::uint32_t>(mark & 0xf);
  out.kind = static_cast<layout::RecordKind>(mark >> 4 & 0xf);
  out.slab_class = static_cast<std::uint8_t>(mark >> 8 & 0xff);
  const auto to_end = cells.size() - at;
  if (out.cells == 0 || out.cells > layout::kMaxRecordCells || out.cells > to_end) {
    return Look::corrupt;
  }
  copy_fields(cell, out);
  if (out.kind == layout::RecordKind::filler) {
    if (out.cells != 1 || out.bytes == 0 || out.bytes > to_end) return Look::corrupt;
    out.cells = static_cast<std::uint32_t>(out.bytes);
    return Look::record;
  }
  if (!layout::is_known(out.kind)) return Look::corrupt;
  if (out.slab_class != layout::kNoClass) return out.cells == 1 ? Look::record : Look::corrupt;
  const bool fits =
      out.bytes <= layout::kMaxInlineBytes && layout::record_cells(out.bytes) == out.cells;
  return fits ? Look::record : Look::corrupt;
}

/// The same for what nearly every record is: a message, whole and within the ring. Null for
/// anything else, of which `look_at` says what it is; `out` means nothing then. Otherwise the first
/// of its cells, for its payload.
[[nodiscard]] MEWS_HOT const layout::Cell* look_at_message(std::span<const layout::Cell> cells,
                                                           std::uint64_t position,
                                                           layout::Descriptor& out) {
  const auto at = position & (cells.size() - 1);
  const auto& cell = cells[at];
  // [A1] acquire: as in `look_at`.
  const auto mark = cell.mark.load(std::memory_order_acquire);
  // Of this position's mark 16 bits are left: class, kind, cells. One comparison for the position
  // and the kind.
  const auto rest = mark - layout::mark_sequence(position);
  constexpr auto kKind = std::uint64_t{static_cast<std::uint8_t>(layout::RecordKind::message)} << 4;
  if ((rest & ~std::uint64_t{0xff0f}) != kKind) return nullptr;
  copy_fields(cell, out);
  out.cells = static_cast<std::uint32_t>(rest & 0xf);
  out.kind = layout::RecordKind::message;
  out.slab_class = static_cast<std::uint8_t>(rest >> 8);
  if (out.slab_class != layout::kNoClass) return out.cells == 1 ? &cell : nullptr;
  // One to eight cells, as the payload is that long. One branch for both.
  const auto cells_for_bytes = layout::record_cells(out.bytes);
  const bool is_of_length = (out.bytes <= layout::kMaxInlineBytes) & (cells_for_bytes == out.cells);
  const bool fits = is_of_length && out.cells <= cells.size() - at;
  return fits ? &cell : nullptr;
}

/// The reading end of a lane; its counterpart, the table of words and the sources are in
/// lane_producer.hpp.
///
/// word       writer        readers     publish / observe            protects
/// position_  the consumer  any thread  [R3] release / [A3] acquire  handling of earlier records
///
/// One thread at a time, but any thread may call `position`. The consumer itself reads its position
/// by relaxed loads: no other thread writes it. Wait-free; nothing blocks.
class LaneConsumer {
 public:
  /// `cells` is the whole ring. The lane is fresh.
  LaneConsumer(layout::LaneState& state, std::span<layout::Cell> cells) noexcept
      : state_(&state), cells_(cells), most_owed_(cells.size() / 4), step_(most_owed_) {}

  /// Returns whether the next record is published. For spinning: it also prefetches as many lines
  /// as the last message had, so that they come together with the first and not one after the
  /// other. (Measured, two cores of one L3, 64-byte payload, two lines: round trip 150 against 210
  /// ns.)
  [[nodiscard]] bool has_record() const {
    const auto position = position_.load(std::memory_order_relaxed);
    // [A1] acquire: the caller may conclude from it that all before the record is visible.
    const auto mark = cell(position).mark.load(std::memory_order_acquire);
    if (layout::is_mark_of(mark, position)) return true;
    for (std::uint32_t i = 1; i < last_cells_; ++i)
      __builtin_prefetch(&cell(position + i));
    return false;
  }

  /// Gives the next record, if it is a message; null when that needs the closer look of `look`.
  [[nodiscard]] MEWS_HOT const layout::Cell* look_fast(layout::Descriptor& out) const {
    return look_at_message(cells_, position_.load(std::memory_order_relaxed), out);
  }

  /// Gives the next record that is not a filler. A second call before `advance` gives the same.
  [[nodiscard]] Look look(layout::Descriptor& out) {
    // A peer that writes more than two laps of fillers would keep the reader busy for ever.
    for (std::uint64_t passed = 0; passed <= 2 * cells_.size(); passed += out.cells) {
      const auto look = look_at(cells_, position_.load(std::memory_order_relaxed), out);
      if (look != Look::record || out.kind != layout::RecordKind::filler) return look;
      advance(out);
    }
    return Look::corrupt;
  }

  /// Returns the first cell of the record that `look` has just given; valid until `advance`.
  [[nodiscard]] const layout::Cell& front() const noexcept {
    return cell(position_.load(std::memory_order_relaxed));
  }
  /// Returns its inline payload.
  [[nodiscard]] std::span<const std::byte> inline_payload(
      const layout::Descriptor& record) const noexcept {
    return {front().payload, static_cast<std::size_t>(record.bytes)};
  }

  /// Copies the inline payload, of `bytes`, of the record that begins with `first` to `out`, which
  /// has room for the largest. In pieces of 32 bytes: the compiler knows their size, whereas a
  /// `memcpy` of any size is a call. No further: behind the payload lie bytes of an earlier lap,
  /// which a reader on the writer's own processor would have to wait for.
  MEWS_HOT static void copy_inline(const layout::Cell& first, std::uint64_t bytes,
                                   std::span<std::byte, layout::kMaxInlineBytes> out) noexcept {
    constexpr std::size_t kPiece = sizeof(layout::Cell::payload);
    static_assert(layout::kMaxInlineBytes % kPiece == 0);
    const auto* const from = first.payload;
    std::memcpy(out.data(), from, kPiece);
    // Twice, or GCC 14 takes this for a tight loop and pads it: five instructions a message.
#pragma GCC unroll 2
    for (std::size_t at = kPiece; at < bytes; at += kPiece)
      std::memcpy(out.data() + at, from + at, kPiece);
  }

  /// Goes on to the next record: the caller is done with this one's cells.
  MEWS_HOT std::uint64_t advance(const layout::Descriptor& record) noexcept {
    const auto position = position_.load(std::memory_order_relaxed) + record.cells;
    // [R3] release: a reader of this position knows that the records before it were dealt with;
    // partner [A3].
    position_.store(position, std::memory_order_release);
    if (layout::has_payload(record.kind)) last_cells_ = record.cells;
    return position;
  }

  /// Gives the cells back to the producer, if they amount to a quarter of the ring (or to fewer,
  /// see `adapt_steps`) or `last_look` found no record. Returns true when it did: then the caller
  /// must ring for a waiting producer.
  [[nodiscard]] MEWS_HOT bool release_cells(Look last_look) {
    return release_cells(last_look, position_.load(std::memory_order_relaxed));
  }
  /// The same where the position is known.
  [[nodiscard]] MEWS_HOT bool release_cells(Look last_look, std::uint64_t position) {
    const auto owed = position - released_;
    if (owed < (last_look == Look::record ? step_ : 1)) return false;
    // [R2] release: our reads of the cells before the producer's rewriting; partner [A2].
    state_->head.store(position, std::memory_order_release);
    released_ = position;
    return true;
  }

  /// From now on gives cells back when so many are owed, at the latest.
  void owe_at_most(std::uint64_t cells) noexcept {
    most_owed_ = step_ = cells;
  }

  /// Adapts how soon cells go back to records with payloads of `bytes`: the sender of large ones
  /// may wait for room in its window (`SlabWindow`), of which it is to have a quarter back at a
  /// time. For the slow way of a record: a reader that keeps a sender waiting soon waits itself.
  void adapt_steps(std::uint64_t bytes) noexcept {
    step_ = bytes < SlabWindow::kSmallBytes
                ? most_owed_
                : std::clamp<std::uint64_t>(kBytesPerRelease / bytes, 1, most_owed_);
  }

  /// Returns whether a record starts at `position`, one of this consumer's. Any thread.
  [[nodiscard]] bool is_published(std::uint64_t position) const noexcept {
    // Relaxed: it says only that it is worth looking.
    return layout::is_mark_of(cell(position).mark.load(std::memory_order_relaxed), position);
  }

  /// Returns the next cell to read. Any thread: after the producer's death, the records published
  /// from here on are those not delivered.
  [[nodiscard]] std::uint64_t position() const noexcept {
    // [A3] acquire; partner [R3].
    return position_.load(std::memory_order_acquire);
  }

 private:
  static constexpr std::uint64_t kBytesPerRelease = WindowLimits{}.bytes / 4;

  [[nodiscard]] const layout::Cell& cell(std::uint64_t position) const noexcept {
    return cells_[position & (cells_.size() - 1)];
  }

  layout::LaneState* state_;
  std::span<layout::Cell> cells_;
  base::LocalAtomic<std::uint64_t> position_{0};
  std::uint64_t released_ = 0;    ///< the head
  std::uint64_t most_owed_;       ///< cells that are given back together at the latest
  std::uint64_t step_;            ///< cells that go back at a time
  std::uint32_t last_cells_ = 1;  ///< of the last message
};

/// Calls `visit(descriptor)` for each record with a payload published from `position` on, up to the
/// first record that is unpublished or corrupt. For a lane whose producer is dead; the consumer may
/// be at work.
template <class Visit>
void walk_published(std::span<const layout::Cell> cells, std::uint64_t position, Visit&& visit) {
  // At most two laps are unread, and a filler of one may skip the other.
  const auto end = position + 2 * cells.size();
  layout::Descriptor record;
  while (position < end && look_at(cells, position, record) == Look::record) {
    if (layout::has_payload(record.kind)) visit(record);
    position += record.cells;
  }
}

}  // namespace mews::inline MEWS_LAYOUT::ring
