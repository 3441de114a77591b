// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "mews/mem/slab_pool.hpp"

// Memory behind slabs. Only this process's own knowledge (`Backing`) decides whether pages have it;
// the eighths in the truth word are for figures, as a peer may have written anything.
namespace mews::inline MEWS_LAYOUT::mem {
namespace {

/// Notes at least so much memory. Orders and ABA: see `Backing`.
void learn(Backing& backing, std::uint8_t learnt) noexcept {
  auto known = backing.load(std::memory_order_relaxed);
  while (known < learnt && !backing.compare_exchange_weak(known, learnt, std::memory_order_relaxed,
                                                          std::memory_order_relaxed)) {
  }
}

}  // namespace

// Without its pages a slab is of no use, and is freed.
Result<void> SlabPool::back_claimed(Slab& slab, std::uint64_t bytes, Deadline deadline) {
  auto backed = back(slab, bytes, deadline);
  if (!backed) {
    release(slab);
    slab.count = 0;
  }
  return backed;
}

// Gets at least one step, so that repeated calls come to an end, whatever their deadlines.
Result<void> SlabPool::back(Slab& slab, std::uint64_t bytes, Deadline deadline) {
  const auto& view = homes_[slab.size_class.value()].view;
  const auto slab_bytes = view.geometry.slab_bytes;
  const auto too_late = [bytes](std::uint64_t got) {
    return fail(ErrorCode::timed_out, detail_text([&] {
                  return fmt::format(
                      "the system gave memory for {} of {} bytes so far, which "
                      "stays with the arena: the next call needs only the rest",
                      got, bytes);
                }));
  };
  bool has_got_any = false;
  std::uint64_t done = 0;
  for (std::uint32_t i = 0; i < slab.count && done < bytes; ++i, done += slab_bytes) {
    const SlabIndex index{slab.first.value() + i};
    const auto wanted = eighths_for(std::min(bytes - done, slab_bytes), slab_bytes);
    const auto known = view.backing[index.value()].load(std::memory_order_relaxed);
    if (known < kOpenSlab + wanted) {
      if (has_got_any && deadline.has_passed()) return too_late(done);
      has_got_any = true;
    }
    const auto got = back_one(
        slab.size_class, index,
        {.eighths = wanted, .on_failure = Arena::OnFailure::give_back, .deadline = deadline});
    if (!got) return tl::unexpected(got.error());
    record_backed(slab, index, *got);
    if (*got < wanted) return too_late(done + slab_bytes * *got / 8);
  }
  return {};
}

std::optional<ErrorCode> SlabPool::prepare(const Slab& slab, std::uint64_t bytes) noexcept {
  const auto& view = homes_[slab.size_class.value()].view;
  const auto slab_bytes = view.geometry.slab_bytes;
  for (std::uint32_t i = 0; i < slab.count; ++i) {
    const SlabIndex index{slab.first.value() + i};
    const auto here = std::min(bytes, slab_bytes);
    bytes -= here;
    std::uint8_t wanted = 0;
    if (arena_.can_lack_pages() && here > 0) wanted = eighths_for(here, slab_bytes);
    const auto known = view.backing[index.value()].load(std::memory_order_relaxed);
    if (known >= kOpenSlab + wanted) continue;
    const auto got =
        back_one(slab.size_class, index,
                 {.eighths = wanted, .on_failure = Arena::OnFailure::keep, .deadline = forever});
    if (!got) return got.error().code();
  }
  return {};
}

// Returns the eighths that have memory: fewer than wanted when the deadline has passed.
Result<std::uint8_t> SlabPool::back_one(ClassId id, SlabIndex index, const Wanted& wanted) {
  const auto& view = homes_[id.value()].view;
  auto& backing = view.backing[index.value()];
  if (backing.load(std::memory_order_relaxed) < kOpenSlab) {
    if (auto opened = arena_.open_slabs(id, index, 1); !opened)
      return tl::unexpected(std::move(opened.error()));
  }
  const auto state = backing.load(std::memory_order_relaxed);
  if (state >= kAheadSlab) {
    learn(backing, kBackedSlab);
    return layout::kFullyBacked;
  }
  const auto known = static_cast<std::uint8_t>(state - kOpenSlab);
  if (known >= wanted.eighths) return known;
  const auto eighth = view.geometry.slab_bytes / 8;
  const auto got = arena_.commit(
      id, index,
      {.from = eighth * known, .to = eighth * wanted.eighths, .on_failure = wanted.on_failure},
      wanted.deadline);
  if (!got) return tl::unexpected(got.error());
  const auto eighths = static_cast<std::uint8_t>(known + *got / eighth);
  learn(backing, eighths == layout::kFullyBacked ? kBackedSlab
                                                 : static_cast<std::uint8_t>(kOpenSlab + eighths));
  return eighths;
}

// For slabs of one chunk that nobody needs yet, with few calls to the system. Pages come without a
// change to what is in them, so it does not matter who holds a slab meanwhile; those that came stay
// if the rest fails. Returns false then.
//
// Pages can go again while their slab is held: by a claim that got only some of them. So what came
// counts only for a slab that was free all the time, by its word before and after. Relaxed: a call
// to the system lies between these looks, and one between another's claim and its look whether
// there are pages already; each is a full barrier. Either we see that claim, or it sees our pages.
bool SlabPool::back_ahead(ClassId id, SlabIndex first, std::uint32_t count) {
  constexpr std::uint32_t kAtOnce = 64;
  const auto& view = homes_[id.value()].view;
  if (view.backing[first.value()].load(std::memory_order_relaxed) < kOpenSlab &&
      !arena_.open_slabs(id, first, 1)) {
    return false;
  }
  std::array<std::uint64_t, kAtOnce> before{};
  for (std::uint32_t done = 0; done < count; done += kAtOnce) {
    const auto begin = first.value() + done;
    const auto slabs = std::min(count - done, kAtOnce);
    for (std::uint32_t i = 0; i < slabs; ++i)
      before[i] = view.words[begin + i].load(std::memory_order_relaxed);
    const auto bytes = view.geometry.slab_bytes * slabs;
    const auto got =
        arena_.commit(id, SlabIndex{begin},
                      {.from = 0, .to = bytes, .on_failure = Arena::OnFailure::keep}, forever);
    if (!got) return false;
    for (std::uint32_t i = 0; i < slabs; ++i) {
      if (layout::packed_phase(before[i]) == layout::Phase::free &&
          view.words[begin + i].load(std::memory_order_relaxed) == before[i]) {
        learn(view.backing[begin + i], kAheadSlab);
      }
    }
  }
  return true;
}

// For the figures. A larger number of an earlier holder stays.
void SlabPool::record_backed(Slab& slab, SlabIndex index, std::uint8_t eighths) noexcept {
  const bool is_first = index == slab.first;
  auto& word = homes_[slab.size_class.value()].view.words[index.value()];
  // Relaxed: this peer holds the slab and is the only one to write the word.
  auto seen = is_first ? slab.word : word.load(std::memory_order_relaxed);
  const auto held = layout::TruthWord::unpack(seen);
  if (held.backed_eighths >= eighths) return;
  const auto backed = held.backed_by(eighths).pack();
  // Relaxed: says nothing of the bytes. ABA: the generation. A failure means that the host took
  // this process for dead; the next transition reports that.
  if (word.compare_exchange_strong(seen, backed, std::memory_order_relaxed,
                                   std::memory_order_relaxed) &&
      is_first) {
    slab.word = backed;
  }
}

}  // namespace mews::inline MEWS_LAYOUT::mem
