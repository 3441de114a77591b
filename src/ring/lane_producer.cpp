// SPDX-License-Identifier: MIT
#include "mews/ring/lane_producer.hpp"

#include <algorithm>
#include <bit>

// The place of the next record when it does not simply follow the last one: once a lap, when the
// ring looks full, and behind a payload that looks like a mark.
namespace mews::inline MEWS_LAYOUT::ring {
namespace {

std::uint64_t cells_left_by(Room room) noexcept {
  switch (room) {
    case Room::ordinary:
      return layout::kControlCells;
    case Room::bounded:
      return 1;
    case Room::control:
      break;
  }
  return 0;
}

}  // namespace

Push LaneProducer::try_stage_slow(const layout::Descriptor& descriptor,
                                  std::span<const std::byte> payload, Room room) {
  const auto cells = layout::record_cells(payload.size());
  for (;;) {
    if (position_ + cells > fast_until_) {
      if (const auto push = make_way(cells, room); push != Push::done) return push;
    }
    if (write(cell(position_), descriptor, payload)) break;
    stage_filler(1);
  }
  stage(layout::make_mark(position_, cells, descriptor.kind, descriptor.slab_class), cells);
  return Push::done;
}

LaneProducer::Place LaneProducer::find_place(std::uint32_t cells, Room room) {
  const auto needed = cells + cells_left_by(room);
  const auto at = offset(position_);
  const auto to_end = capacity_ - at;
  if (to_end < cells) return {reserve(to_end + needed), to_end};
  if (at + cells >= lap_end_ && lap_end_ < capacity_) {
    if (!refresh_head()) return {Push::corrupt, 0};
    if (seen_head_ >= last_position_ && reserve(to_end + needed) == Push::done) {
      return {Push::done, to_end};
    }
    // The next question comes twice as far on: the head is one more line to fetch.
    lap_end_ = std::min(capacity_, std::bit_ceil(at + cells + 1));
  }
  if (const auto push = reserve(needed); push != Push::full) return {push, 0};
  // Over the unread rest of the lap before; one cell more, so that it is worth a filler.
  if (at < older_end_ && older_end_ + needed < capacity_) return {reserve(1), older_end_ - at};
  return {Push::full, 0};
}

// Makes room for a record of `cells` at the position, behind a filler if need be.
Push LaneProducer::make_way(std::uint32_t cells, Room room) {
  const auto place = find_place(cells, room);
  if (place.push == Push::done && place.skip > 0) stage_filler(place.skip);
  update_fast_limit();
  return place.push;
}

// Checks for `needed` free cells from the position on.
Push LaneProducer::reserve(std::uint64_t needed) {
  const auto is_there = [&] { return position_ + needed - free_from() <= capacity_; };
  if (is_there()) return Push::done;
  if (!refresh_head()) return Push::corrupt;
  return is_there() ? Push::done : Push::full;
}

// Returns false when no correct consumer can publish this head.
bool LaneProducer::refresh_head() {
  // [A2] acquire: the consumer's reads of the cells before head, before we rewrite them; partner
  // [R2].
  const auto head = state_->head.load(std::memory_order_acquire);
  if (head - seen_head_ > position_ - seen_head_) return false;
  seen_head_ = head;
  return true;
}

// A wrong head is reported when the record is staged.
bool LaneProducer::has_open_window(std::uint64_t bytes) {
  if (window_.is_open(bytes)) return true;
  (void)refresh_head();
  window_.credit(seen_head_);
  update_slab_limit();
  return window_.is_open(bytes);
}

void LaneProducer::charge_large(std::uint64_t bytes) noexcept {
  window_.charge(bytes, position_);
  update_slab_limit();
}

// With the window closed, each slab is looked at: small ones may pass.
void LaneProducer::update_slab_limit() noexcept {
  slab_fast_until_ = window_.is_open(SlabWindow::kSmallBytes) ? fast_until_ : 0;
}

// Returns the oldest cell that must not be overwritten. Once this lap has gone past the end of the
// lap before, that one's unread records lie only in cells that this lap has skipped, so the start
// of this lap is the limit.
std::uint64_t LaneProducer::free_from() const noexcept {
  const auto at = offset(position_);
  return at >= older_end_ ? std::max(seen_head_, position_ - at) : seen_head_;
}

// Records below this position need no check of head, lap or room.
void LaneProducer::update_fast_limit() noexcept {
  const auto lap = position_ - offset(position_);
  const auto last = std::min(older_passed_, lap_end_) - 1;
  fast_until_ = std::min(lap + last, seen_head_ + capacity_ - layout::kControlCells);
  update_slab_limit();
}

void LaneProducer::stage_filler(std::uint64_t skip) {
  // The cells after the first are not passed: their old words stay for the next lap.
  if (skip > 1) passed_ = std::min(passed_, offset(position_) + 1);
  cell(position_).extent = layout::make_extent(skip, 0);
  stage(layout::make_mark(position_, 1, layout::RecordKind::filler, layout::kNoClass), skip);
}

// The position has left the fast range; `end` is the end of the cells written last.
void LaneProducer::leave_fast_range(std::uint64_t end) {
  const auto at = offset(position_);
  if (at == 0) {
    older_end_ = offset(end - 1) + 1;
    older_passed_ = passed_;
    passed_ = capacity_;
    lap_end_ = short_lap_;
    update_fast_limit();
  } else if (at >= older_passed_ && position_ - seen_head_ != capacity_) {
    // The reader looks at this word when it has passed this record. (If the cell is still unread,
    // it has a record of the lap before.) Relaxed: as in `clear_marks`.
    cell(position_).mark.store(0, std::memory_order_relaxed);
  }
}

}  // namespace mews::inline MEWS_LAYOUT::ring
