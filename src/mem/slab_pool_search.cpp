// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "mews/base/checked.hpp"
#include "mews/mem/slab_pool.hpp"

namespace mews::inline MEWS_LAYOUT::mem {
namespace {

std::uint32_t bitmap_words(std::uint32_t bits) noexcept {
  return (bits + 63) / 64;
}

/// Calls `visit(chunk)` for each set bit of a bitmap until it returns something.
template <class Bits, class Visit>
auto first_of(std::uint32_t words, Bits&& bits, Visit&& visit) -> decltype(visit(0u)) {
  for (std::uint32_t w = 0; w < words; ++w) {
    for (auto left = bits(w); left != 0; left &= left - 1) {
      if (auto found = visit(w * 64 + static_cast<std::uint32_t>(std::countr_zero(left)))) {
        return found;
      }
    }
  }
  return {};
}

}  // namespace

SlabPool::SlabPool(const Arena& arena, PeerId self, FreedListener* listener)
    : arena_(arena), self_(self), listener_(listener) {
  for (std::uint32_t i = 0; i < arena.class_count(); ++i) {
    const auto words = bitmap_words(arena.geometry().classes[i].chunk_count);
    homes_[i].view = arena.view(ClassId{i});
    homes_[i].own = std::make_unique<base::LocalAtomic<std::uint64_t>[]>(words);
  }
  class_by_width_.fill(layout::kNoClass);
  for (std::uint32_t width = 0; width < 64; ++width) {
    if (const auto smallest = arena.geometry().class_for(std::uint64_t{1} << width)) {
      class_by_width_[width] = static_cast<std::uint8_t>(*smallest);
    }
  }
}

// When the slab in turn was not free: others of its class, larger classes, or a run.
Result<void> SlabPool::claim_any(Slab& slab, std::uint64_t bytes, Deadline deadline,
                                 Purpose purpose) {
  const auto& geometry = arena_.geometry();
  slab.count = 0;
  if (const auto smallest = geometry.class_for(bytes)) {
    const auto last = std::min(*smallest + geometry.fallback_classes, geometry.class_count - 1);
    for (auto i = *smallest; i <= last && slab.count == 0; ++i) {
      Taken taken;
      if (Turn turn; i != *smallest && take_turn(homes_[i], turn) &&
                     is_backed(homes_[i].view, turn.index, bytes)) {
        taken = take_in_turn(homes_[i], turn);
      }
      if (!taken) taken = claim_elsewhere(ClassId{i}, bytes);
      if (taken) describe(slab, homes_[i].view, ClassId{i}, taken);
    }
    if (slab.count == 0 && purpose == Purpose::reply) (void)claim_kept(slab, *smallest, last);
  } else {
    const auto& largest = geometry.classes[geometry.class_count - 1];
    if (bytes > geometry.max_payload_bytes()) {
      return fail(ErrorCode::payload_too_large, detail_text([&] {
                    return fmt::format("{} bytes, and the largest run is {} slabs of {} bytes",
                                       bytes, geometry.ordinary_slabs(geometry.class_count - 1),
                                       largest.slab_bytes);
                  }));
    }
    const auto count = static_cast<std::uint32_t>(base::ceil_div(bytes, largest.slab_bytes));
    if (!claim_run(slab, count)) slab.count = 0;
  }
  if (slab.count == 0) return fail(ErrorCode::no_slab);
  if (slab.count == 1 &&
      is_backed(homes_[slab.size_class.value()].view, slab.first.value(), bytes)) {
    return {};
  }
  return back_claimed(slab, bytes, deadline);
}

// One of the slabs that are kept for replies.
bool SlabPool::claim_kept(Slab& slab, std::uint32_t smallest, std::uint32_t last) {
  for (auto i = smallest; i <= last; ++i) {
    const auto& view = homes_[i].view;
    if (const auto taken = scan(view, view.ordinary_slabs, view.geometry.slab_count)) {
      describe(slab, view, ClassId{i}, taken);
      return true;
    }
  }
  return false;
}

SlabPool::Taken SlabPool::scan(const ClassView& view, std::uint32_t begin, std::uint32_t end) {
  for (auto i = begin; i < end; ++i) {
    if (const auto word = take_free(view.words[i])) return {word, i};
  }
  return {};
}

// Around the warm slabs once, then on to colder ones of the same chunk. Relaxed: see `Home`.
SlabPool::Taken SlabPool::claim_in_chunk(ClassId id, std::uint32_t chunk, std::uint64_t bytes) {
  auto& home = homes_[id.value()];
  const auto& view = home.view;
  if (home.left.load(std::memory_order_relaxed) == 0) look_at_flow(id, chunk, bytes);
  const auto begin = chunk << view.geometry.chunk_shift;
  const auto warm = std::min(home.warm.load(std::memory_order_relaxed), view.slabs_in_chunk(chunk));
  const auto next = std::min(home.next.load(std::memory_order_relaxed), warm);
  auto slab = scan(view, begin + next, begin + warm);
  if (!slab) slab = scan(view, begin, begin + next);
  if (!slab) return claim_colder(id, chunk, warm);
  const auto taken = slab.index - begin + 1;
  home.next.store(taken == warm ? 0 : taken, std::memory_order_relaxed);
  return slab;
}

SlabPool::Taken SlabPool::claim_elsewhere(ClassId id, std::uint64_t bytes) {
  const auto& view = arena_.view(id);
  auto& home = homes_[id.value()];
  if (view.geometry.chunk_slabs == 1) return claim_lowest(view, home);
  const auto current = home.chunk.load(std::memory_order_relaxed);
  if (current != kNoChunk) {
    if (const auto slab = claim_in_chunk(id, current, bytes)) return slab;
  }
  // Each turn finds a slab, clears a hint or adopts a chunk. The limit is for a peer that sets
  // hints for ever.
  for (auto turns = 2 * view.geometry.chunk_count; turns > 0; --turns) {
    const auto chunk = adopt_chunk(view, id, home);
    if (!chunk) break;
    home.next.store(0, std::memory_order_relaxed);
    home.warm.store(0, std::memory_order_relaxed);
    home.chunk.store(*chunk, std::memory_order_relaxed);
    if (auto slab = claim_in_chunk(id, *chunk, bytes)) return slab;
    auto& hints = view.hints[*chunk / 64];
    // [P4] seq_cst, then a fence and a second look; partners [P1], [P3]. Either this look sees a
    // slab freed meanwhile, or the peer that freed it sets the hint anew.
    hints.fetch_and(~(std::uint64_t{1} << (*chunk % 64)), std::memory_order_seq_cst);
    base::full_fence();
    if (auto slab = claim_in_chunk(id, *chunk, bytes)) {
      view.hint(slab.index);
      return slab;
    }
  }
  if (const auto slab = steal(view)) return slab;
  return sweep(view);
}

// Returns a chunk to make current: one of ours that may have a free slab, else one that nobody
// owns, else a fresh one. All orders relaxed: the truth words decide which slabs in it are free.
// ABA: an owner or cursor is a hint, so an old one does no harm.
std::optional<std::uint32_t> SlabPool::adopt_chunk(const ClassView& view, ClassId id, Home& home) {
  constexpr auto relaxed = std::memory_order_relaxed;
  auto& fresh_cursor = arena_.pool().fresh[id.value()];
  auto fresh = std::min(fresh_cursor.load(relaxed), view.geometry.chunk_count);
  const auto words = bitmap_words(fresh);
  const auto hinted = [&](std::uint32_t w) { return view.hints[w].load(relaxed); };
  const auto own = [&](std::uint32_t w) { return hinted(w) & home.own[w].load(relaxed); };
  const auto take_over = [&](std::uint32_t chunk) -> std::optional<std::uint32_t> {
    if (chunk >= view.geometry.chunk_count) return std::nullopt;
    std::uint32_t nobody = 0;
    if (!view.owners[chunk].compare_exchange_strong(nobody, self_.value() + 1, relaxed, relaxed)) {
      return std::nullopt;
    }
    home.own[chunk / 64].fetch_or(std::uint64_t{1} << (chunk % 64), relaxed);
    return chunk;
  };
  if (auto chunk = first_of(words, own, [](std::uint32_t c) { return std::optional(c); });
      chunk && *chunk < view.geometry.chunk_count) {
    return chunk;
  }
  if (auto chunk = first_of(words, hinted, take_over)) return chunk;
  // The cursor passes each chunk once, unless a peer scribbles.
  const auto end = view.geometry.chunk_count;
  for (auto turns = end; turns > 0 && fresh < end; --turns) {
    // A process that dies right after this leaves a chunk below the cursor without an owner and
    // without a hint: the sweep finds its slabs.
    if (!fresh_cursor.compare_exchange_strong(fresh, fresh + 1, relaxed, relaxed)) continue;
    view.hint(fresh << view.geometry.chunk_shift);
    if (auto chunk = take_over(fresh)) return chunk;
    fresh = fresh_cursor.load(relaxed);
  }
  return std::nullopt;
}

// Claims one slab of another peer's chunk that a hint names.
SlabPool::Taken SlabPool::steal(const ClassView& view) {
  const auto words = bitmap_words(view.geometry.chunk_count);
  // Relaxed: a hint; the truth words decide.
  const auto hinted = [&](std::uint32_t w) {
    return view.hints[w].load(std::memory_order_relaxed);
  };
  return first_of(words, hinted, [&](std::uint32_t chunk) -> Taken {
    if (chunk >= view.geometry.chunk_count) return {};
    const auto begin = chunk << view.geometry.chunk_shift;
    return scan(view, begin, begin + view.slabs_in_chunk(chunk));
  });
}

// A hint may be lost with the process that should have set it, or be a scribbler's. So every truth
// word is looked at before a class counts as exhausted. A word that was never written is free, so
// this brings no more than one page of them into being.
SlabPool::Taken SlabPool::sweep(const ClassView& view) {
  auto slab = scan(view, 0, view.ordinary_slabs);
  if (slab) view.hint(slab.index);
  return slab;
}

// The large classes: the lowest free slab, as long as it is near. A flow that has many on their way
// would read all their words, which the receiver writes, to find the one that it has just freed. In
// such a flow that is the one after the last claim: so for some claims slabs take turns.
SlabPool::Taken SlabPool::claim_lowest(const ClassView& view, Home& home) {
  constexpr std::uint32_t kNear = 4;
  constexpr std::uint32_t kTurns = 32;
  const auto slab = scan(view, 0, view.ordinary_slabs);
  if (!slab) return slab;
  const bool is_near = slab.index < kNear;
  const auto after = slab.index + 1 == view.ordinary_slabs ? 0 : slab.index + 1;
  // From now on the lowest slab of all is the next in turn, and is asked first; or the one behind
  // this one is, if it has pages.
  home.warm.store(is_near ? 1 : view.ordinary_slabs, std::memory_order_relaxed);
  home.next.store(is_near ? 0 : after, std::memory_order_relaxed);
  home.left.store(is_near ? kNoLook : kTurns, std::memory_order_relaxed);
  home.chunk.store(0, std::memory_order_relaxed);
  return slab;
}

}  // namespace mews::inline MEWS_LAYOUT::mem
