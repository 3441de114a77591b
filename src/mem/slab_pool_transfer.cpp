// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>

#include "mews/base/checked.hpp"
#include "mews/mem/slab_pool.hpp"

namespace mews::mem {
namespace {

using layout::Phase;
using layout::TruthWord;

/// Bytes of a slab that have memory behind them.
std::uint64_t backed_bytes(const ClassView& view, const TruthWord& word) noexcept {
  const auto eighths = std::min(word.backed_eighths, layout::kFullyBacked);
  return view.geometry.slab_bytes * eighths / 8;
}

/// Slabs that hold `bytes`, at least one; any `bytes`, as a peer may claim it. A shift, because a
/// division takes longer than all the rest.
std::uint64_t slabs_for(std::uint64_t bytes, std::uint64_t slab_bytes) noexcept {
  return bytes == 0 ? 1 : ((bytes - 1) >> std::countr_zero(slab_bytes)) + 1;
}

/// Moves the words of a run from what `expect` says they are to what `next` makes of them, in
/// ascending order; the number moved. `first` is the first word's expected value where it is known.
template <class Expect, class Next>
std::uint32_t move_words(const ClassView& view, const Slab& slab, Expect&& expect, Next&& next,
                         std::memory_order success) noexcept {
  for (std::uint32_t i = 0; i < slab.count; ++i) {
    auto& word = view.words[slab.first.value() + i];
    // Relaxed: only a guess for the exchange. The first word is known to the last bit.
    auto seen = i == 0 ? slab.word : word.load(std::memory_order_relaxed);
    const auto from = TruthWord::unpack(seen);
    // ABA: the generation, and nobody else moves a slab out of a state that is ours.
    if (!expect(from) || !word.compare_exchange_strong(seen, next(from).pack(), success,
                                                       std::memory_order_relaxed)) {
      return i;
    }
  }
  return slab.count;
}

}  // namespace

bool SlabPool::send(Slab& slab, LaneId lane) noexcept {
  const auto self = self_.value();
  const auto lane_index = static_cast<std::uint16_t>(lane.value());
  const auto& view = arena_.view(slab.size_class);
  // seq_cst: its partner is the host's "peer is dead" before the reclaiming scan; either the scan
  // sees the slab in flight, or the sender sees the death and frees it.
  const auto moved = move_words(
      view, slab, [self](const TruthWord& w) { return w.phase == Phase::held && w.holder == self; },
      [lane_index](const TruthWord& w) { return w.in_flight_on(lane_index); },
      std::memory_order_seq_cst);
  if (moved < slab.count) return false;
  slab.word = TruthWord::unpack(slab.word).in_flight_on(lane_index).pack();
  return true;
}

bool SlabPool::unsend(Slab& slab, LaneId lane) noexcept {
  const auto self = static_cast<std::uint16_t>(self_.value());
  const auto& view = arena_.view(slab.size_class);
  const auto moved = move_words(
      view, slab,
      [lane](const TruthWord& w) { return w.phase == Phase::in_flight && w.lane == lane.value(); },
      [self](const TruthWord& w) { return w.held_by(self); }, std::memory_order_relaxed);
  slab.word = TruthWord::unpack(slab.word).held_by(self).pack();
  if (moved == slab.count) return true;
  Slab front = slab;
  front.count = moved;
  if (moved > 0) release_run(front);
  // The scan may have passed in the middle of `send`: what was marked behind it is still in flight.
  for (auto i = moved; i < slab.count; ++i) {
    auto& word = view.words[slab.first.value() + i];
    auto seen = word.load(std::memory_order_relaxed);
    const auto from = TruthWord::unpack(seen);
    if (from.phase != Phase::in_flight || from.lane != lane.value()) continue;
    // seq_cst: as in free_one. ABA: nobody else sends on this lane; a second scan may free it.
    word.compare_exchange_strong(seen, from.freed().pack(), std::memory_order_seq_cst,
                                 std::memory_order_relaxed);
  }
  return false;
}

bool SlabPool::release_run(const Slab& slab) noexcept {
  const auto self = self_.value();
  const auto& view = arena_.view(slab.size_class);
  // seq_cst: as in free_one, for the waiters' bell.
  const auto moved = move_words(
      view, slab, [self](const TruthWord& w) { return w.phase == Phase::held && w.holder == self; },
      [](const TruthWord& w) { return w.freed(); }, std::memory_order_seq_cst);
  return moved == slab.count;
}

bool SlabPool::shrink(Slab& slab, std::uint64_t bytes) noexcept {
  const auto slab_bytes = arena_.view(slab.size_class).geometry.slab_bytes;
  const auto keep = static_cast<std::uint32_t>(slabs_for(bytes, slab_bytes));
  if (keep >= slab.count) return false;
  Slab tail = slab;
  tail.first = SlabIndex{slab.first.value() + keep};
  tail.count = slab.count - keep;
  tail.word =
      arena_.view(slab.size_class).words[tail.first.value()].load(std::memory_order_relaxed);
  release_run(tail);
  slab.count = keep;
  slab.capacity_bytes = keep * slab_bytes;
  return true;
}

bool SlabPool::take_into(Slab& slab, const Claim& claim, LaneId lane, PeerId sender) noexcept {
  slab.count = 0;
  if (claim.size_class >= arena_.class_count()) return false;
  const ClassId id{claim.size_class};
  const auto& view = homes_[id.value()].view;
  const auto& row = view.geometry;
  const auto count = slabs_for(claim.bytes, row.slab_bytes);
  const bool is_run = count > 1;
  if (is_run && id.value() + 1 != arena_.class_count()) return false;
  if (claim.index >= row.slab_count || count > row.slab_count - claim.index) return false;

  // Relaxed: a guess for the exchange below.
  const auto word = view.words[claim.index].load(std::memory_order_relaxed);
  if (TruthWord::unpack(word).generation != claim.generation) return false;
  describe(slab, view, id, {word, claim.index});
  slab.count = static_cast<std::uint32_t>(count);
  slab.capacity_bytes = count * row.slab_bytes;

  // The reader's first line travels while the truth word does.
  __builtin_prefetch(slab.data);
  const auto self = static_cast<std::uint16_t>(self_.value());
  auto left = claim.bytes;
  // Acquire: pairs with the record's publication, which is what carries the bytes over; the
  // exchange itself only has to be atomic.
  const auto moved = move_words(
      view, slab,
      [&](const TruthWord& w) {
        const auto needed = std::min(left, row.slab_bytes);
        left -= needed;
        return w.phase == Phase::in_flight && w.lane == lane.value() &&
               w.holder == sender.value() && backed_bytes(view, w) >= needed;
      },
      [self](const TruthWord& w) { return w.held_by(self); }, std::memory_order_acquire);
  slab.word = TruthWord::unpack(slab.word).held_by(self).pack();
  if (moved == slab.count) return true;
  slab.count = moved;
  if (moved > 0) release_run(slab);
  slab.count = 0;
  return false;
}

}  // namespace mews::mem
