// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "mews/base/inline.hpp"
#include "mews/base/visible.hpp"
#include "mews/layout/cell.hpp"
#include "mews/layout/lane_state.hpp"
#include "mews/ring/slab_window.hpp"

namespace mews::inline MEWS_LAYOUT::ring {

/// How many free cells a record leaves.
enum class Room : std::uint8_t {
  ordinary,  ///< `kControlCells`
  bounded,   ///< one, for a filler: of records that are so few that they all fit, a link's
  control,   ///< none
};

enum class Push : std::uint8_t {
  done,
  full,     ///< nothing was written
  corrupt,  ///< no correct consumer publishes such a head
};

/// The writing end of a lane: single producer, single consumer, records of 1 to 8 cells.
///
/// word         writer           readers   publish / observe            protects
/// mark         producer         consumer  [R1] release / [A1] acquire  the record, all it names
/// head         consumer         producer  [R2] release / [A2] acquire  the cells before it, to be
///                                                                      rewritten
/// reader_left  consumer's side  producer  release / relaxed            nothing: says "stop"
///
/// The position is private. Of the consumer's words the producer reads only the head (and
/// `reader_left`), and believes it only within the possible window.
///
/// **Laps are short while the reader keeps up.** A lap may end at any cell, with a filler that
/// leads to the start of the ring. It ends with the first page, or with twice or four times that,
/// if everything has been read by then, so that a lane without a backlog stays in one page and in
/// the nearest cache. (Measured, two cores of one L3, 64-byte payload: a round trip takes 124 ns,
/// with long laps only 166 ns.) With a backlog a lap goes on to the end of the ring. When a new lap
/// runs into unread records of the lap before, a filler leads over them to the free cells behind:
///
///    0            head       older_end            capacity
///   +------------+----------+--------------------+
///   | new lap    | unread,  | free: the new lap  |
///   | ...... F ->| older lap| goes on here ...   |
///   +------------+----------+--------------------+
///
/// Unread records belong to at most two laps. Short laps cost the ring's capacity only a few cells.
///
/// **A cell never looks published when it is not.** A reader looks at the first word of a cell only
/// at its own position. So the old word there must not be the mark of that cell in this lap. In
/// cells that the lap before has passed it is not: a mark names its position, and a payload with a
/// word that would pass for the mark of the next lap is moved on by one cell with a filler. In all
/// other cells the producer zeroes it when its position comes there.
///
/// Sources: the ring with one writer for each end is L. Lamport's ("Specifying Concurrent Program
/// Modules", 1983). That a cell says itself whether it is published, so that the reader never looks
/// at the writer's index, is as in J. Giacomoni, T. Moseley, M. Vachharajani, "FastForward for
/// Efficient Pipeline Parallelism", 2008; that it does so by its position, as the sequence number
/// in the cells of D. Vyukov's bounded MPMC queue. The producer caches the last head, as E.
/// Rigtorp's SPSCQueue does. Short laps, and fillers over unread cells, are this library's.
///
/// One thread at a time. Wait-free; nothing blocks. Death before [R1] leaves the whole batch
/// unpublished; the marks behind an unpublished one are never looked at.
class LaneProducer {
 public:
  /// `cells` is the whole ring (a power of two). The lane is fresh, or nobody reads it.
  LaneProducer(layout::LaneState& state, std::span<layout::Cell> cells,
               const WindowLimits& limits = {}) noexcept
      : state_(&state),
        cells_(cells.data()),
        capacity_(cells.size()),
        short_lap_(std::min<std::uint64_t>(kShortLapCells, capacity_ / 2)),
        older_end_(capacity_),
        older_passed_(capacity_),
        passed_(capacity_),
        lap_end_(short_lap_),
        window_(limits) {
    update_fast_limit();
  }
  // A second producer of the same lane would write over the first one's records.
  LaneProducer(const LaneProducer&) = delete;
  LaneProducer& operator=(const LaneProducer&) = delete;

  /// Writes a record with `payload` (at most kMaxInlineBytes) in it, and computes its cells from
  /// that. Not visible before `publish`. Returns false when it needs the closer look of
  /// `try_stage`: then nothing was written.
  [[nodiscard]] MEWS_HOT bool try_stage_fast(const layout::Descriptor& descriptor,
                                             std::span<const std::byte> payload) {
    const auto cells = layout::record_cells(payload.size());
    if (position_ + cells > fast_until_ || !write(cell(position_), descriptor, payload))
      return false;
    stage(layout::make_mark(position_, cells, descriptor.kind, descriptor.slab_class), cells);
    return true;
  }

  /// The same and `publish`, in one: for a single record. Nothing is staged then: each call that
  /// stages publishes before its role ends, or ends the fast range.
  [[nodiscard]] MEWS_HOT bool try_push_fast(const layout::Descriptor& descriptor,
                                            std::span<const std::byte> payload) {
    const auto cells = layout::record_cells(payload.size());
    const auto position = position_;
    auto& first = cell(position);
    if (position + cells > fast_until_ || !write(first, descriptor, payload)) return false;
    last_position_ = position;
    // Within the fast range still, which nothing has to be done to leave.
    position_ = position + cells;
    publish(first, layout::make_mark(position, cells, descriptor.kind, descriptor.slab_class));
    return true;
  }
  /// The same without a payload in it, once `has_slab_room_fast` has said so.
  MEWS_HOT void push_slab_fast(const layout::Descriptor& descriptor) {
    auto& first = cell(position_);
    (void)write(first, descriptor, {});
    last_position_ = position_;
    publish(first, layout::make_mark(position_++, 1, descriptor.kind, descriptor.slab_class));
    charge(descriptor.bytes);
  }

  /// As `try_stage_fast`, wherever there is room for it. On `full` nothing of the record was
  /// written, but fillers may be staged: publish them, since the reader may have to pass them to
  /// make room.
  [[nodiscard]] Push try_stage(const layout::Descriptor& descriptor,
                               std::span<const std::byte> payload, Room room) {
    return try_stage_fast(descriptor, payload) ? Push::done
                                               : try_stage_slow(descriptor, payload, room);
  }

  /// Makes all staged records visible at once. Does nothing when nothing is staged.
  void publish() {
    if (staged_mark_ == 0) return;
    // [R1] release: every record of the batch, and the slabs they name, before the first mark;
    // partner [A1].
    cell(staged_position_).mark.store(staged_mark_, std::memory_order_release);
    staged_mark_ = 0;
  }

  [[nodiscard]] bool has_staged() const noexcept { return staged_mark_ != 0; }

  /// Returns whether a slab may surely be sent, without a look at the consumer's head.
  [[nodiscard]] bool has_slab_room_fast() const noexcept { return position_ < slab_fast_until_; }
  /// Returns whether it may be sent now: there is room for a record, and the window is open.
  [[nodiscard]] bool has_slab_room(std::uint64_t bytes) {
    return has_room(1, Room::ordinary) && has_open_window(bytes);
  }
  /// As `try_stage`, for a record without a payload in it that names a slab, once `has_slab_room`
  /// has said so.
  [[nodiscard]] Push try_stage_slab(const layout::Descriptor& descriptor,
                                    Room room = Room::ordinary) {
    const auto push = try_stage(descriptor, {}, room);
    if (push == Push::done) charge(descriptor.bytes);
    return push;
  }
  [[nodiscard]] const SlabWindow& window() const noexcept { return window_; }
  /// Returns whether a record of `cells` would fit now; looks at the consumer's head.
  [[nodiscard]] bool has_room(std::uint32_t cells, Room room) {
    return position_ + cells <= fast_until_ || find_place(cells, room).push != Push::full;
  }

  /// From now on only `try_stage` writes.
  void end_fast_range() noexcept { fast_until_ = slab_fast_until_ = 0; }

  /// Returns whether the reading end has said that nobody will read here any more.
  [[nodiscard]] bool has_reader_left() const noexcept {
    // Relaxed: a record without a reader does no harm, and a sleeper looks after arming.
    return state_->reader_left.load(std::memory_order_relaxed) != 0;
  }

  /// Returns the number of cells that are not free, by the head seen last: unread, or skipped.
  [[nodiscard]] std::uint64_t used_cells() const noexcept {
    const auto at = offset(position_);
    if (at >= older_end_) return position_ - free_from();
    const auto used = position_ - seen_head_;
    return seen_head_ < position_ - at ? used - (capacity_ - older_end_) : used;
  }
  /// Returns the cells written so far, fillers included.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  [[nodiscard]] std::uint64_t capacity_cells() const noexcept { return capacity_; }

 private:
  /// One page.
  static constexpr std::uint64_t kShortLapCells = layout::kPageBytes / layout::kCellBytes;

  /// The place of a record: behind a filler that skips so many cells.
  struct Place {
    Push push;
    std::uint64_t skip;
  };

  [[nodiscard]] std::uint64_t offset(std::uint64_t position) const noexcept {
    return position & (capacity_ - 1);
  }
  [[nodiscard]] layout::Cell& cell(std::uint64_t position) const noexcept {
    return cells_[offset(position)];
  }

  [[nodiscard]] Push try_stage_slow(const layout::Descriptor& descriptor,
                                    std::span<const std::byte> payload, Room room);
  [[nodiscard]] Place find_place(std::uint32_t cells, Room room);
  [[nodiscard]] Push make_way(std::uint32_t cells, Room room);
  [[nodiscard]] Push reserve(std::uint64_t needed);
  [[nodiscard]] bool refresh_head();
  [[nodiscard]] bool has_open_window(std::uint64_t bytes);
  MEWS_HOT void charge(std::uint64_t bytes) noexcept {
    if (bytes >= SlabWindow::kSmallBytes) [[unlikely]]
      charge_large(bytes);
  }
  // Out of line: the way of a small payload would be the longer for it.
  MEWS_VISIBLE void charge_large(std::uint64_t bytes) noexcept;
  [[nodiscard]] std::uint64_t free_from() const noexcept;
  void update_fast_limit() noexcept;
  void update_slab_limit() noexcept;
  void stage_filler(std::uint64_t skip);
  [[gnu::cold]] MEWS_VISIBLE void leave_fast_range(std::uint64_t end);

  // Writes everything but the mark, back to front: the line that the reader polls comes last. False
  // when a word of the payload would pass for a mark of the next lap.
  [[nodiscard]] MEWS_HOT bool write(layout::Cell& first, const layout::Descriptor& descriptor,
                                    std::span<const std::byte> payload) const {
    constexpr std::size_t kInFirst = sizeof(layout::Cell::payload);
    if (payload.size() > kInFirst && !write_rest(first, payload.subspan(kInFirst))) {
      // Nor may these words pass for marks of this lap: only a filler may be published here.
      clear_marks(layout::record_cells(payload.size()));
      return false;
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

  // Reads each cell's first word once, so that the word written is the one that was checked, even
  // if the user changes the payload meanwhile. Writes it with the next one, in one store: a reader
  // on this processor that loads 16 bytes gets them from there, and need not wait for the cache.
  [[nodiscard]] MEWS_HOT bool write_rest(layout::Cell& first,
                                         std::span<const std::byte> rest) const {
    // Before the copy, behind which the compiler would read the members once more.
    auto position = position_ + capacity_;
    auto* to = reinterpret_cast<std::byte*>(&first + 1);
    const auto* from = rest.data();
    for (auto left = rest.size();;) {
      std::array<std::uint64_t, 2> head{};
      constexpr auto kHead = sizeof head;
      if (left >= kHead) {
        std::memcpy(head.data(), from, kHead);
      } else {
        std::memcpy(head.data(), from, left);
      }
      if (layout::is_mark_of(head[0], ++position)) return false;
      std::memcpy(to, head.data(), kHead);
      if (left <= layout::kCellBytes) {
        if (left > kHead) std::memcpy(to + kHead, from + kHead, left - kHead);
        break;
      }
      std::memcpy(to + kHead, from + kHead, layout::kCellBytes - kHead);
      to += layout::kCellBytes;
      from += layout::kCellBytes;
      left -= layout::kCellBytes;
    }
    return true;
  }

  // Zeroes the marks of the cells after the first of `cell_count`.
  void clear_marks(std::uint64_t cell_count) const {
    for (std::uint64_t i = 1; i < cell_count; ++i) {
      // Relaxed: no reader looks behind the position before a later mark is published.
      cell(position_ + i).mark.store(0, std::memory_order_relaxed);
    }
  }

  MEWS_HOT static void publish(layout::Cell& first, std::uint64_t mark) {
    // [R1] release: the record, and the slab that it names, before its mark.
    first.mark.store(mark, std::memory_order_release);
  }

  /// Stages the record written at the position, which leads the reader on by `length`.
  void stage(std::uint64_t mark, std::uint64_t length) {
    if (staged_mark_ == 0) {
      staged_mark_ = mark;
      staged_position_ = position_;
    } else {
      // Relaxed: nobody looks here before the batch's first mark is published.
      cell(position_).mark.store(mark, std::memory_order_relaxed);
    }
    last_position_ = position_;
    position_ += length;
    if (position_ > fast_until_) [[unlikely]]
      leave_fast_range(position_ - length + (mark & 0xf));
  }

  layout::LaneState* state_;
  layout::Cell* cells_;
  std::uint64_t capacity_;
  std::uint64_t short_lap_;  ///< earliest end of a lap
  std::uint64_t position_ = 0;
  std::uint64_t fast_until_ = 0;       ///< see `update_fast_limit`
  std::uint64_t slab_fast_until_ = 0;  ///< the same while the window is open
  std::uint64_t last_position_ = 0;    ///< of the last record written
  std::uint64_t seen_head_ = 0;
  std::uint64_t staged_position_ = 0;
  std::uint64_t staged_mark_ = 0;  ///< withheld first mark of the batch; 0: nothing is staged
  // Offsets in the ring. Of the lap before this one:
  std::uint64_t older_end_;     ///< behind its last record
  std::uint64_t older_passed_;  ///< from the start to its first skip
  // And of this one:
  std::uint64_t passed_;   ///< from the start to its first skip so far
  std::uint64_t lap_end_;  ///< its end, if everything has been read by then
  SlabWindow window_;
};

}  // namespace mews::inline MEWS_LAYOUT::ring
