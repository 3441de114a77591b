// SPDX-License-Identifier: MIT
#include <algorithm>

#include "mews/base/checked.hpp"
#include "mews/mem/slab_pool.hpp"

namespace mews::inline MEWS_LAYOUT::mem {
namespace {

using layout::Phase;
using layout::TruthWord;

/// Changes the words of a run from the state that `expect` accepts to the one that `next` returns,
/// in ascending order, up to the first in another state. Returns the number changed.
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

/// Returns the first `count` slabs of a run.
Slab front_of(const Slab& run, std::uint32_t count) noexcept {
  auto front = run;
  front.count = count;
  return front;
}

/// Returns the slabs of a run behind the first `count`.
Slab tail_of(const ClassView& view, const Slab& run, std::uint32_t count) noexcept {
  auto tail = run;
  tail.count = run.count - count;
  if (count == 0 || tail.count == 0) return tail;
  tail.first = SlabIndex{run.first.value() + count};
  // Relaxed: a guess, as in move_words.
  tail.word = view.words[tail.first.value()].load(std::memory_order_relaxed);
  return tail;
}

/// Frees each slab of a run that `expect` accepts, also beyond one that it does not. Returns the
/// number freed.
template <class Expect>
std::uint32_t free_words(const ClassView& view, const Slab& run, Expect&& expect) noexcept {
  std::uint32_t freed = 0;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    // [P1] seq_cst: as in `try_release_fast`, for the next holder and the waiters.
    const auto moved = move_words(
        view, tail_of(view, run, i), expect, [](const TruthWord& w) { return w.freed(); },
        std::memory_order_seq_cst);
    freed += moved;
    i += moved;
  }
  return freed;
}

auto held_by(PeerId peer) noexcept {
  return [peer](const TruthWord& w) { return w.phase == Phase::held && w.holder == peer.value(); };
}

auto in_flight(LaneId lane, PeerId sender) noexcept {
  return [lane, sender](const TruthWord& w) {
    return w.phase == Phase::in_flight && w.lane == lane.value() && w.holder == sender.value();
  };
}

}  // namespace

bool SlabPool::mark_in_flight(Slab& slab, LaneId lane) noexcept {
  const auto lane_index = static_cast<std::uint16_t>(lane.value());
  const auto& view = arena_.view(slab.size_class);
  // [P5] seq_cst: before the sender's look at the end of the channel; partner: the host's "peer is
  // dead" before the reclaiming scan [P6]. Either the scan sees the slab in flight, or the sender
  // sees the death and revokes it.
  const auto moved = move_words(
      view, slab, held_by(self_),
      [lane_index](const TruthWord& w) { return w.in_flight_on(lane_index); },
      std::memory_order_seq_cst);
  auto sent = front_of(slab, moved);
  sent.word = TruthWord::unpack(slab.word).in_flight_on(lane_index).pack();
  if (moved == slab.count) {
    slab.word = sent.word;
    return true;
  }
  if (moved > 0) (void)hold_again(sent, lane);
  return false;
}

// Returns how many of a run, from the first on, are held again.
std::uint32_t SlabPool::hold_again(Slab& slab, LaneId lane) noexcept {
  const auto self = static_cast<std::uint16_t>(self_.value());
  // Relaxed: the bytes have been ours throughout.
  const auto held = move_words(
      arena_.view(slab.size_class), slab, in_flight(lane, self_),
      [self](const TruthWord& w) { return w.held_by(self); }, std::memory_order_relaxed);
  slab.word = TruthWord::unpack(slab.word).held_by(self).pack();
  return held;
}

// The host's scan may have freed some slabs of a run and passed others before this thread had
// marked them, and it does not come again. A slab that it freed may have a new holder by now, even
// a thread of this process; but no other thread has put anything on the lane meanwhile.
bool SlabPool::revoke(Slab& slab, LaneId lane) noexcept {
  const auto& view = arena_.view(slab.size_class);
  const auto held = hold_again(slab, lane);
  if (held == slab.count) return true;
  auto freed = free_words(view, front_of(slab, held), held_by(self_));
  freed += free_words(view, tail_of(view, slab, held), in_flight(lane, self_));
  if (freed > 0) tell(slab.size_class);
  return false;
}

bool SlabPool::release_run(const Slab& slab) noexcept {
  const auto freed = free_words(arena_.view(slab.size_class), slab, held_by(self_));
  if (freed > 0) tell(slab.size_class);
  return freed == slab.count;
}

bool SlabPool::shrink(Slab& slab, std::uint64_t bytes) noexcept {
  const auto& view = arena_.view(slab.size_class);
  const auto keep = static_cast<std::uint32_t>(slabs_for(bytes, view.geometry.slab_bytes));
  if (keep >= slab.count) return false;
  release_run(tail_of(view, slab, keep));
  slab.count = keep;
  return true;
}

std::optional<ErrorCode> SlabPool::accept(Slab& slab, const SlabHandle& handle, LaneId lane,
                                          PeerId sender) noexcept {
  slab.count = 0;
  const auto count = slabs_named(arena_.geometry(), handle);
  if (count == 0) return ErrorCode::peer_corrupt;
  const ClassId id{handle.size_class};
  const auto& view = homes_[id.value()].view;

  // Relaxed: a guess for the exchange below.
  const auto word = view.words[handle.index].load(std::memory_order_relaxed);
  if (TruthWord::unpack(word).generation != handle.generation) return ErrorCode::peer_corrupt;
  describe(slab, view, id, {word, handle.index});
  slab.count = count;
  if (const auto failed = prepare(slab, handle.bytes)) {
    slab.count = 0;
    return failed;
  }

  // The reader's first line travels while the truth word does.
  __builtin_prefetch(slab.data);
  const auto self = static_cast<std::uint16_t>(self_.value());
  // [P7] acquire; partner [P5]. The record's publication, [R1] / [A1] of the lane, already carries
  // the bytes over: the exchange itself only has to be atomic.
  const auto moved = move_words(
      view, slab, in_flight(lane, sender), [self](const TruthWord& w) { return w.held_by(self); },
      std::memory_order_acquire);
  slab.word = TruthWord::unpack(slab.word).held_by(self).pack();
  if (moved == count) return {};
  if (moved > 0) release_run(front_of(slab, moved));
  slab.count = 0;
  return ErrorCode::peer_corrupt;
}

}  // namespace mews::inline MEWS_LAYOUT::mem
