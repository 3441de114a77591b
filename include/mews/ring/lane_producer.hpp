// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "mews/layout/cell.hpp"
#include "mews/layout/lane_state.hpp"

namespace mews::ring {

/// Whether a record may use the last `kControlCells` cells.
enum class Room : std::uint8_t { ordinary, control };

enum class Push : std::uint8_t {
  done,
  full,     ///< nothing was written
  corrupt,  ///< the consumer's head is not one it can have
};

/// The writing end of a lane: single producer, single consumer, records of 1 to 8 cells.
///
/// word   writer    readers   publish / observe           protects
/// mark   producer  consumer  [R1] release / [A1] acquire  the record, and all it refers to
/// head   consumer  producer  [R2] release / [A2] acquire  the cells before it, to be rewritten
///
/// The position is private; from the consumer only its head is read, and believed only when it
/// lies in the window that is possible.
///
/// A reader looks at the first word of a cell only where a record starts, and only when the cell
/// was passed in an earlier lap. So it suffices that what a cell's first word is left with in one
/// lap is not the mark of that cell in the next. A mark is not (positions differ); a skipped cell
/// is zeroed; a word of payload that happens to be is moved on by one cell with a filler.
///
/// One thread at a time. Wait-free; nothing blocks. Death before [R1] leaves what it follows
/// unpublished; the marks behind an unpublished one are never looked at.
class LaneProducer {
 public:
  /// `cells` is the whole ring (a power of two). The lane is fresh, or nobody reads it.
  LaneProducer(layout::LaneState& state, std::span<layout::Cell> cells) noexcept
      : state_(&state), cells_(cells.data()), capacity_(cells.size()) {}

  /// Writes a record with `payload` (at most kMaxInlineBytes) in it; how many cells it takes is
  /// found out here. Not visible before `publish`.
  [[nodiscard]] Push try_stage(const layout::Descriptor& descriptor,
                               std::span<const std::byte> payload, Room room) {
    const auto cells = layout::record_cells(payload.size());
    for (;;) {
      const auto to_end = capacity_ - (position_ & (capacity_ - 1));
      const auto filler = to_end < cells ? to_end : 0;
      if (const auto push = reserve(filler + cells, room); push != Push::done) return push;
      if (filler > 0) stage_filler(static_cast<std::uint32_t>(filler));
      if (write(descriptor, payload, cells)) {
        stage_mark(cells, descriptor.kind, descriptor.slab_class);
        return Push::done;
      }
      stage_filler(1);
    }
  }

  /// Makes all staged records visible at once. Nothing staged: nothing happens.
  void publish() {
    if (staged_mark_ == 0) return;
    // [R1] release: every record of the batch, and the slabs they name, before the first mark.
    cell(staged_position_).mark.store(staged_mark_, std::memory_order_release);
    staged_mark_ = 0;
  }

  [[nodiscard]] bool has_staged() const noexcept { return staged_mark_ != 0; }

  /// Whether a record of `cells` would fit now; looks at the consumer's head.
  [[nodiscard]] bool has_room(std::uint32_t cells, Room room) {
    const auto to_end = capacity_ - (position_ & (capacity_ - 1));
    return reserve((to_end < cells ? to_end : 0) + cells, room) != Push::full;
  }

  /// Cells written and, as far as was last seen, not yet read.
  [[nodiscard]] std::uint64_t used_cells() const noexcept { return position_ - seen_head_; }
  [[nodiscard]] std::uint64_t capacity_cells() const noexcept { return capacity_; }

 private:
  [[nodiscard]] layout::Cell& cell(std::uint64_t position) const noexcept {
    return cells_[position & (capacity_ - 1)];
  }

  [[nodiscard]] Push reserve(std::uint64_t needed, Room room) {
    if (room == Room::ordinary) needed += layout::kControlCells;
    if (position_ + needed - seen_head_ <= capacity_) return Push::done;
    // [A2] acquire: the consumer's reads of the cells before head, before we rewrite them.
    const auto head = state_->head.load(std::memory_order_acquire);
    if (head - seen_head_ > position_ - seen_head_) return Push::corrupt;
    seen_head_ = head;
    return position_ + needed - seen_head_ <= capacity_ ? Push::done : Push::full;
  }

  // Everything but the mark, back to front: the line that the reader polls comes last. False when
  // a word of the payload would pass for a mark of the next lap.
  [[nodiscard]] bool write(const layout::Descriptor& descriptor, std::span<const std::byte> payload,
                           std::uint32_t cells) const {
    auto& first = cell(position_);
    constexpr std::size_t kInFirst = sizeof(layout::Cell::payload);
    if (payload.size() > kInFirst) {
      auto* rest = reinterpret_cast<std::byte*>(&first + 1);
      const auto rest_bytes = payload.size() - kInFirst;
      std::memcpy(rest, payload.data() + kInFirst, rest_bytes);
      if (rest_bytes % 8 != 0) std::memset(rest + rest_bytes, 0, 8 - rest_bytes % 8);
      for (std::uint64_t i = 1; i < cells; ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, rest + (i - 1) * layout::kCellBytes, sizeof word);
        if (layout::is_mark_of(word, position_ + i + capacity_)) {
          // Nor may these words pass for marks of this lap: a filler alone may be published here.
          clear_marks(cells);
          return false;
        }
      }
    }
    if (!payload.empty()) {
      std::memcpy(first.payload, payload.data(), std::min(payload.size(), kInFirst));
    }
    first.correlation = descriptor.correlation;
    first.extent = layout::make_extent(descriptor.bytes, descriptor.slab_index);
    first.type = descriptor.type;
    first.generation = descriptor.generation;
    return true;
  }

  void stage_filler(std::uint32_t filler_cells) {
    clear_marks(filler_cells);
    stage_mark(filler_cells, layout::RecordKind::filler, layout::kNoClass);
  }

  // Of the cells after the first of `cell_count`.
  void clear_marks(std::uint64_t cell_count) const {
    for (std::uint64_t i = 1; i < cell_count; ++i) {
      // Relaxed: no reader looks behind the position before a later mark is published.
      cell(position_ + i).mark.store(0, std::memory_order_relaxed);
    }
  }

  void stage_mark(std::uint32_t cells, layout::RecordKind kind, std::uint8_t slab_class) {
    const auto mark = layout::make_mark(position_, cells, kind, slab_class);
    if (staged_mark_ == 0) {
      staged_mark_ = mark;
      staged_position_ = position_;
    } else {
      // Relaxed: nobody looks here before the batch's first mark is published.
      cell(position_).mark.store(mark, std::memory_order_relaxed);
    }
    position_ += cells;
  }

  layout::LaneState* state_;
  layout::Cell* cells_;
  std::uint64_t capacity_;
  std::uint64_t position_ = 0;
  std::uint64_t seen_head_ = 0;
  std::uint64_t staged_position_ = 0;
  std::uint64_t staged_mark_ = 0;  ///< withheld first mark of the batch; 0: nothing is staged
};

}  // namespace mews::ring
