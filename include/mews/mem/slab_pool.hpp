// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>

#include "mews/base/atomic.hpp"
#include "mews/error.hpp"
#include "mews/ids.hpp"
#include "mews/layout/truth_word.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mem/slab.hpp"

namespace mews::mem {

/// The slab allocator, as one peer uses it. The truth words alone say what is free; all else here
/// says where to look first.
///
/// A class up to 1 MiB is divided into *chunks* of about 4 MiB. A peer makes some of them its
/// *home* and takes slabs from there in turn. Whoever frees a slab only writes its truth word; the
/// home peer comes upon it on its next round, so a slab that travelled comes home by itself,
/// without a list that could be left half linked, and peers do not meet while each has a home of
/// its own. (Measured with `bench/slab_bench`: 16 ns a pair of claim and release, however many
/// processes do so at once; 93 ns where another process frees each slab right behind its claim,
/// which is what a list that both share costs too.)
///
/// Order of search: the current chunk in turn; other home chunks; chunks that nobody owns; a fresh
/// chunk (new memory last, so the arena stays small); single slabs of other peers' chunks that the
/// hint bitmap names; a sweep over all truth words. Only then is the class exhausted. Larger
/// classes have no homes: the lowest free slab is the warmest.
///
/// word        writer              readers     publish / observe              protects
/// truth word  see truth_word.hpp  every peer  [P1] seq_cst CAS to free /      slab bytes
///                                             [P2] acquire CAS free -> held
/// chunk owner home peer, host     every peer  relaxed CAS                    nothing: a hint
/// hint bit    every peer          every peer  [P3] / [P4] seq_cst            nothing: a hint
///
/// Any thread may call any function at any time; all are lock-free and none blocks, but a claim
/// of memory that was never used asks the system for pages. Death at any point leaves each slab
/// free, held by the dead peer, or in flight on its lane; `reclaim` finds all three.
class SlabPool {
 public:
  /// `arena` must outlive the pool. One pool per attached peer.
  SlabPool(const Arena& arena, PeerId self);

  /// Memory for a payload of `bytes` (any size above 0): the smallest class that fits, then up to
  /// `fallback_classes` larger ones; above the largest class a run of it. Pages are there when it
  /// returns. `payload_too_large`, `no_slab`, `out_of_memory`.
  [[nodiscard]] Result<Slab> try_claim(std::uint64_t bytes) {
    Result<Slab> slab;
    if (auto claimed = try_claim_into(*slab, bytes); !claimed) {
      slab = tl::unexpected(std::move(claimed.error()));
    }
    return slab;
  }
  /// The same, described in place. On an error `slab` is nobody's.
  [[nodiscard]] Result<void> try_claim_into(Slab& slab, std::uint64_t bytes);

  /// One slab of exactly this class, pages not yet asked for.
  [[nodiscard]] std::optional<Slab> try_claim_one(ClassId id) {
    std::optional<Slab> slab;
    if (!claim_into(slab.emplace(), id)) slab.reset();
    return slab;
  }

  /// Puts pages behind the first `bytes` of `slab`. `out_of_memory`; the slab is still held then.
  [[nodiscard]] Result<void> back(Slab& slab, std::uint64_t bytes);

  /// held -> free. False, and nothing happens, when the slab is not held by this peer any more (it
  /// was taken for dead, or a peer scribbled). The caller then rings the freed bells.
  bool release(const Slab& slab) noexcept {
    if (slab.count != 1) return release_run(slab);
    if (layout::TruthWord::unpack(slab.word).phase != layout::Phase::held) return false;
    const auto& view = homes_[slab.size_class.value()].view;
    return free_one(view, slab.first.value(), slab.word);
  }

  /// Gives the slabs of a run that `bytes` does not need back; a single slab stays as it is.
  /// True when any was freed: then ring the bells.
  bool shrink(Slab& slab, std::uint64_t bytes) noexcept;

  /// held -> in_flight on `lane`, before the record is published. False: not ours any more.
  [[nodiscard]] bool send(Slab& slab, LaneId lane) noexcept;

  /// in_flight -> held by the same peer again: the record could not be published. False when the
  /// host, reclaiming a dead receiver, came first: then all of it is free; ring the bells.
  [[nodiscard]] bool unsend(Slab& slab, LaneId lane) noexcept;

  /// What a record says of its payload, unchecked.
  struct Claim {
    std::uint32_t size_class;
    std::uint32_t index;
    std::uint32_t generation;
    std::uint64_t bytes;
  };
  /// The one place where a handle from a peer becomes memory: every field is checked against
  /// private geometry and the truth word, then in_flight(lane) -> held by this peer. Nothing when
  /// any check fails: the record is bad, and no slab has changed hands.
  [[nodiscard]] std::optional<Slab> take(const Claim& claim, LaneId lane, PeerId sender) noexcept {
    std::optional<Slab> slab;
    if (!take_into(slab.emplace(), claim, lane, sender)) slab.reset();
    return slab;
  }
  /// The same, described in place; false: nothing.
  [[nodiscard]] bool take_into(Slab& slab, const Claim& claim, LaneId lane, PeerId sender) noexcept;

  [[nodiscard]] const Arena& arena() const noexcept { return arena_; }
  [[nodiscard]] PeerId self() const noexcept { return self_; }

 private:
  static constexpr std::uint32_t kNoChunk = ~0u;
  /// Every so many claims one more slab of the current chunk joins those taken in turn: a busy
  /// flow soon turns through the whole chunk, a quiet one keeps to a few warm slabs.
  static constexpr std::uint32_t kGrowEvery = 32;

  // Of this process alone; every value is a hint and is checked when used, so relaxed orders do.
  struct Home {
    alignas(64) base::LocalAtomic<std::uint32_t> chunk{kNoChunk};
    base::LocalAtomic<std::uint32_t> next{0};  ///< slab of the chunk to look at first
    base::LocalAtomic<std::uint32_t> warm{0};  ///< slabs of the chunk that take turns
    base::LocalAtomic<std::uint32_t> turns{0};
    std::unique_ptr<base::LocalAtomic<std::uint64_t>[]> own;  ///< one bit per chunk: ours
    ClassView view;  ///< never changes; here it saves a claim one look into the arena
  };

  /// A slab that has just become ours.
  struct Taken {
    std::uint64_t word = 0;  ///< 0: none
    std::uint32_t index = 0;
    [[nodiscard]] explicit operator bool() const noexcept { return word != 0; }
  };

  // Written field by field to where it is to stay: copying a value right after that waits until
  // the pieces have left the store buffer (measured: 33 against 8 ns for a claim and a release).
  static void describe(Slab& slab, const ClassView& view, ClassId id, Taken taken) noexcept {
    slab.size_class = id;
    slab.first = SlabIndex{taken.index};
    slab.count = 1;
    slab.word = taken.word;
    slab.data = view.slabs + std::uint64_t{taken.index} * view.geometry.slab_bytes;
    slab.capacity_bytes = view.geometry.slab_bytes;
  }

  /// One slab of exactly this class; false, and `slab` is as it was, when there is none.
  [[nodiscard]] bool claim_into(Slab& slab, ClassId id) {
    auto& home = homes_[id.value()];
    const auto& view = home.view;
    auto taken = claim_in_turn(view, home);
    if (!taken) taken = claim_elsewhere(id);
    if (!taken) return false;
    describe(slab, view, id, taken);
    return true;
  }

  /// free -> held; the new word, or 0 when the slab is not free.
  [[nodiscard]] std::uint64_t take_free(layout::AtomicTruthWord& word) noexcept {
    // Relaxed: only a guess for the exchange, which checks it.
    auto seen = word.load(std::memory_order_relaxed);
    const auto free = layout::TruthWord::unpack(seen);
    if (free.phase != layout::Phase::free) return 0;
    const auto held = free.held_by(static_cast<std::uint16_t>(self_.value())).pack();
    // [P2] acquire: the last holder's accesses to the bytes before ours. ABA: the generation.
    return word.compare_exchange_strong(seen, held, std::memory_order_acquire,
                                        std::memory_order_relaxed)
               ? held
               : 0;
  }

  // The next of the warm slabs of the current chunk, unless it is time to look past them.
  [[nodiscard]] Taken claim_in_turn(const ClassView& view, Home& home) noexcept {
    const auto chunk = home.chunk.load(std::memory_order_relaxed);
    if (chunk == kNoChunk) return {};
    const auto turns = home.turns.load(std::memory_order_relaxed) + 1;
    home.turns.store(turns, std::memory_order_relaxed);
    const auto warm = home.warm.load(std::memory_order_relaxed);
    const auto next = home.next.load(std::memory_order_relaxed);
    const auto index = (chunk << view.geometry.chunk_shift) + next;
    // Another thread's `warm` may be that of a larger chunk than this one, which is the last.
    if (turns % kGrowEvery == 0 || next >= warm || index >= view.geometry.slab_count) return {};
    const auto word = take_free(view.words[index]);
    if (word != 0) home.next.store(next + 1 == warm ? 0 : next + 1, std::memory_order_relaxed);
    return {word, index};
  }

  bool free_one(const ClassView& view, std::uint32_t index, std::uint64_t held) noexcept {
    const auto free = layout::TruthWord::unpack(held).freed().pack();
    // [P1] release: our accesses to the bytes before the next holder's. seq_cst, because it
    // partners with the waiter's fence: either it sees the free slab, or we see its armed bell;
    // likewise [P3] the hint. ABA: the generation.
    if (!view.words[index].compare_exchange_strong(held, free, std::memory_order_seq_cst,
                                                   std::memory_order_relaxed)) {
      return false;
    }
    if (view.geometry.chunk_slabs > 1) hint(view, index >> view.geometry.chunk_shift);
    return true;
  }

  /// Notes that `chunk` may have a free slab.
  static void hint(const ClassView& view, std::uint32_t chunk) noexcept {
    auto& word = view.hints[chunk / 64];
    const auto bit = std::uint64_t{1} << (chunk % 64);
    // [P3] seq_cst, after the slab is free; its partner clears the bit and then looks again.
    if ((word.load(std::memory_order_seq_cst) & bit) == 0) {
      word.fetch_or(bit, std::memory_order_seq_cst);
    }
  }

  [[nodiscard]] Taken claim_in_chunk(const ClassView& view, Home& home, std::uint32_t chunk);
  [[nodiscard]] Taken claim_elsewhere(ClassId id);
  [[nodiscard]] Taken claim_lowest(const ClassView& view, ClassId id);
  [[nodiscard]] Taken steal(const ClassView& view, ClassId id);
  [[nodiscard]] Taken sweep(const ClassView& view, ClassId id);
  [[nodiscard]] std::optional<std::uint32_t> adopt_chunk(const ClassView& view, ClassId id,
                                                         Home& home);
  [[nodiscard]] Taken scan(const ClassView& view, std::uint32_t begin, std::uint32_t end);
  [[nodiscard]] bool claim_run_into(Slab& run, std::uint32_t count);
  bool release_run(const Slab& slab) noexcept;
  [[nodiscard]] std::uint32_t fresh_slabs(const ClassView& view, ClassId id) const noexcept;

  const Arena& arena_;
  const PeerId self_;
  std::array<Home, layout::kMaxClasses> homes_;
};

}  // namespace mews::mem
