// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>

#include "mews/base/atomic.hpp"
#include "mews/base/inline.hpp"
#include "mews/error.hpp"
#include "mews/ids.hpp"
#include "mews/layout/truth_word.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mem/freed_listener.hpp"
#include "mews/mem/slab.hpp"

namespace mews::inline MEWS_LAYOUT::mem {

/// What a slab is claimed for. The last slabs of each class serve replies only: who has received a
/// request can answer it, though requests have all other memory.
enum class Purpose : std::uint8_t { ordinary, reply };

/// The slab allocator, as one peer uses it. The truth words alone say which slabs are free; all
/// else here says where to look first.
///
/// A class up to 1 MiB is divided into *chunks* of about 4 MiB. A peer makes some of them its
/// *home* and claims slabs there in turn. A peer that frees a slab only writes its truth word; the
/// home peer finds it on its next round, so a slab that travelled comes home by itself, without a
/// list that could be left half linked, and peers do not meet while each has a home of its own.
/// (Measured with `bench/slab_bench`: 16 ns for a pair of claim and release, with any number of
/// processes at once; 93 ns where another process frees each slab right behind its claim, which a
/// list that both share costs too.)
///
/// Order of search: the current chunk in turn; other home chunks; chunks that nobody owns; a fresh
/// chunk (new memory last, so the arena stays small); single slabs of other peers' chunks that the
/// hint bitmap names; a sweep over all truth words. Only then is the class exhausted. Larger
/// classes have no homes: the lowest free slab is the warmest, unless many are on their way; then
/// slabs with pages take turns for a while.
///
/// The slabs of the current chunk that take turns are its *warm* ones. More of them cost pages:
/// half a nanosecond a byte, once. They save the wait for lines that the receiver's cache still
/// has: a tenth of a nanosecond for each byte that is written, until the turn goes through about 4
/// MiB (measured for 16 KiB and above; `layout/geometry_plan.cpp`). So there are two reasons to
/// grow:
///
/// - need: all warm slabs are in use. Small slabs then double, as one call to the system costs as
///   much as their pages. So a quiet peer keeps to what it has on its way at once, a page at least;
///   and a claim in an exchange meets no page without memory once it has come around.
/// - bulk: looked at now and then, the flow is one that would profit. It has had slabs of 16 KiB
///   and more at a rate at which the wait matters, for so long that the wait has cost as much as
///   the pages will, and at one at which a process can write. So growing at worst doubles the cost,
///   a peer that is idle most of the time never grows, and neither does a flow of large slabs of
///   which only headers are written. Each step is three times the warm slabs: a few late messages
///   at the start of a flow, rather than one in 32.
///
/// Measured from the first message on, in one run each: 1 KiB echoes had 1 in 100 above 5 us, which
/// is now 1.5; 16 KiB 25, now 4; 256 KiB with headers alone 1 in 1000 above 250, now 13.
///
/// word         writer              readers     publish / observe               protects
/// truth word   see truth_word.hpp  every peer  [P1] seq_cst, any -> free /     slab bytes
///                                              [P2] acquire, free -> held
///                                              [P5] seq_cst, held -> in flight  the slab's return
///                                              / [P6] reclaim's seq_cst load
///                                              / [P7] acquire, in flight -> held
/// hint bit     every peer          every peer  [P3] seq_cst / [P4] seq_cst     nothing: a hint
/// chunk owner  home peer, host     every peer  relaxed                         nothing: a hint
/// fresh        every peer          every peer  relaxed                         nothing: a hint
/// Home         this peer           this peer   relaxed                         nothing: hints
/// Backing      this peer           this peer   relaxed, see `Backing`          nothing
///
/// The bytes of a slab in flight travel under the record's mark: [R1] / [A1] in lane_producer.hpp.
///
/// The listener hears of each slab that a call frees, on purpose or because the call failed half
/// way: a waiter may have looked while the slab was held.
///
/// Any thread may call any function at any time; all are lock-free and none blocks, but a claim
/// of memory that was never used asks the system for pages. Death at any point leaves each slab
/// free, held by the dead peer, or in flight on its lane; `reclaim` finds all three.
class SlabPool {
 public:
  /// `arena` and `listener` (which may be null) must outlive the pool. One pool per attached peer.
  SlabPool(const Arena& arena, PeerId self, FreedListener* listener = nullptr);

  /// Claims memory for a payload of `bytes` (any size above 0): the smallest class that fits, then
  /// up to `fallback_classes` larger ones; above the largest class a run of it. Its pages have
  /// memory when it returns. `payload_too_large`, `no_slab`, `out_of_memory`; `slab` is empty then.
  ///
  /// Waits for no peer, but gets all the pages, however long the system takes for them (about a
  /// second for 1 to 2 GiB that were never used).
  [[nodiscard]] Result<void> try_claim(Slab& slab, std::uint64_t bytes) {
    return try_claim(slab, bytes, [] { return Deadline(forever); });
  }
  /// The same, but gets pages only until the deadline that `until()` returns; it calls that only if
  /// pages are missing. Then `timed_out`, which says how far it came. The pages that it got stay
  /// behind the slabs, which are free, so that a next call goes on from there.
  template <class Until>
  [[nodiscard]] Result<void> try_claim(Slab& slab, std::uint64_t bytes, Until&& until,
                                       Purpose purpose = Purpose::ordinary) {
    return try_claim_fast(slab, bytes) ? Result<void>() : claim_any(slab, bytes, until(), purpose);
  }

  /// Puts pages behind the first `bytes` of `slab`, as far as it comes by `deadline`.
  /// `out_of_memory`, `timed_out`; the slab is still held then.
  [[nodiscard]] Result<void> back(Slab& slab, std::uint64_t bytes, Deadline deadline = forever);

  /// held -> free. Returns false when this peer does not hold all of it any more (the host took
  /// this process for dead, or a peer scribbled): such slabs stay as they are, the rest is free.
  bool release(const Slab& slab) noexcept {
    if (slab.count != 1) return release_run(slab);
    if (!try_release_fast(slab)) return false;
    tell(slab.size_class);
    return true;
  }

  // The usual case of a message: one slab, and nothing in the way. Each is one exchange, makes no
  // system call, tells nobody, and on false has changed nothing.

  /// Claims the next slab in turn of the smallest class that fits, if its pages have memory.
  [[nodiscard]] MEWS_HOT bool try_claim_fast(Slab& slab, std::uint64_t bytes) noexcept {
    const auto smallest = class_by_width_[static_cast<std::size_t>(std::bit_width(bytes - 1))];
    if (smallest == layout::kNoClass) return false;
    auto& home = homes_[smallest];
    Turn turn;
    if (!take_turn(home, turn) || !is_backed(home.view, turn.index, bytes)) return false;
    const auto taken = take_in_turn(home, turn);
    if (!taken) return false;
    describe(slab, home.view, ClassId{smallest}, taken);
    return true;
  }

  /// held -> free. On true the caller must tell the threads that wait for a slab of the class.
  [[nodiscard]] MEWS_HOT bool try_release_fast(const Slab& slab) noexcept {
    if (slab.count != 1) return false;
    if (layout::packed_phase(slab.word) != layout::Phase::held) return false;
    const auto& view = homes_[slab.size_class.value()].view;
    auto seen = slab.word;
    // [P1] release: our accesses to the bytes before the next holder's, partner [P2]. seq_cst: its
    // partners are the waiter's fences ([S1] of the bell, [G1] of the gate): either the waiter sees
    // the free slab, or we see the waiter; likewise the hint, [P4]. ABA: the generation.
    if (!view.words[slab.first.value()].compare_exchange_strong(seen, layout::packed_free(seen),
                                                                std::memory_order_seq_cst,
                                                                std::memory_order_relaxed)) {
      return false;
    }
    view.hint(slab.first.value());
    return true;
  }

  /// held -> in_flight on `lane`, as `mark_in_flight`.
  [[nodiscard]] MEWS_HOT bool try_mark_in_flight_fast(Slab& slab, LaneId lane) noexcept {
    if (slab.count != 1) return false;
    auto seen = slab.word;
    if ((seen & ~layout::kKeptMask) != held_by_self_) return false;
    const auto sent = layout::packed_in_flight(seen, static_cast<std::uint16_t>(lane.value()));
    // [P5], and ABA: as in `mark_in_flight`.
    if (!homes_[slab.size_class.value()].view.words[slab.first.value()].compare_exchange_strong(
            seen, sent, std::memory_order_seq_cst, std::memory_order_relaxed)) {
      return false;
    }
    slab.word = sent;
    return true;
  }

  /// in_flight -> held, as `accept`.
  [[nodiscard]] MEWS_HOT bool try_accept_fast(Slab& slab, const SlabHandle& handle, LaneId lane,
                                              PeerId sender) noexcept {
    if (handle.size_class >= homes_.size()) return false;
    const auto& view = homes_[handle.size_class].view;
    // As `slabs_named` is 1: a class that the arena has not has no slabs.
    if (handle.index >= view.geometry.slab_count || handle.bytes > view.geometry.slab_bytes) {
      return false;
    }
    const layout::TruthWord sent{.phase = layout::Phase::in_flight,
                                 .holder = static_cast<std::uint16_t>(sender.value()),
                                 .lane = static_cast<std::uint16_t>(lane.value()),
                                 .generation = handle.generation};
    auto& word = view.words[handle.index];
    // Relaxed: a guess for the exchange.
    auto seen = word.load(std::memory_order_relaxed);
    if (!layout::is_but_for_backing(seen, sent)) return false;
    if (!can_read(view, handle.index, handle.bytes)) return false;
    // The reader's first line travels while the truth word does.
    __builtin_prefetch(view.slabs + std::uint64_t{handle.index} * view.geometry.slab_bytes);
    const auto held = layout::packed_held(seen, held_by_self_);
    // [P7], and ABA: as in `accept`.
    if (!word.compare_exchange_strong(seen, held, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return false;
    }
    describe(slab, view, ClassId{handle.size_class}, {held, handle.index});
    return true;
  }

  /// Frees the slabs of a run that `bytes` does not need; a single slab stays as it is. Returns
  /// true when the run is shorter now.
  bool shrink(Slab& slab, std::uint64_t bytes) noexcept;

  /// held -> in_flight on `lane`, before the record is published. Returns false when this peer does
  /// not hold all of it any more: it still holds the rest, as before.
  [[nodiscard]] bool mark_in_flight(Slab& slab, LaneId lane) noexcept;

  /// in_flight -> held by the same peer again: the record could not be published. Returns false
  /// when the host, reclaiming a dead receiver, came first to any of it: then all of it is free.
  [[nodiscard]] bool revoke(Slab& slab, LaneId lane) noexcept;

  /// Returns the number of adjacent slabs that a handle names, by private geometry alone; 0 when no
  /// correct peer writes such a handle.
  [[nodiscard]] static std::uint32_t slabs_named(const layout::Geometry& geometry,
                                                 const SlabHandle& handle) noexcept {
    if (handle.size_class >= geometry.class_count) return 0;
    const auto& row = geometry.classes[handle.size_class];
    const auto count = slabs_for(handle.bytes, row.slab_bytes);
    // Only the largest class makes runs.
    if (count > 1 && handle.size_class + 1 != geometry.class_count) return 0;
    if (handle.index >= row.slab_count || count > row.slab_count - handle.index) return 0;
    return static_cast<std::uint32_t>(count);
  }

  /// The one place where a handle from a peer becomes memory: every field is checked against
  /// private geometry and the truth word, then in_flight(lane) -> held by this peer. Returns
  /// nothing on success.
  ///
  /// `peer_corrupt` when any check fails: the record is bad. Then no slab has changed hands, but
  /// the slabs of a run before the first wrong one are free. Another error when the system has no
  /// memory for pages that should have had it: then nothing has changed, and the next call may
  /// succeed.
  [[nodiscard]] std::optional<ErrorCode> accept(Slab& slab, const SlabHandle& handle, LaneId lane,
                                                PeerId sender) noexcept;

  [[nodiscard]] const Arena& arena() const noexcept { return arena_; }
  [[nodiscard]] PeerId self() const noexcept { return self_; }

 private:
  static constexpr std::uint32_t kNoChunk = ~0u;
  /// For `Home::left`: the warm slabs are enough for ever.
  static constexpr std::uint32_t kNoLook = ~0u;

  // Of this process alone. Relaxed throughout: every value is a hint and is checked when used.
  struct Home {
    alignas(64) base::LocalAtomic<std::uint32_t> chunk{kNoChunk};
    base::LocalAtomic<std::uint32_t> next{0};  ///< slab of the chunk to look at first
    base::LocalAtomic<std::uint32_t> warm{0};  ///< slabs of the chunk that take turns
    base::LocalAtomic<std::uint32_t> left{0};  ///< claims before the next look at the flow
    std::unique_ptr<base::LocalAtomic<std::uint64_t>[]> own;  ///< one bit per chunk: ours
    ClassView view;  ///< never changes; here it saves a claim one look into the arena
    base::LocalAtomic<std::uint32_t> between_looks{0};  ///< claims
    base::LocalAtomic<std::uint32_t> bulk_looks{0};     ///< in a row, that found bulk
    base::LocalAtomic<std::int64_t> looked_at_ns{0};
  };

  /// A slab that this call has just claimed.
  struct Taken {
    std::uint64_t word = 0;  ///< 0: none
    std::uint32_t index = 0;
    [[nodiscard]] explicit operator bool() const noexcept { return word != 0; }
  };

  // Writes field by field to the final place: a copy right after that would wait until the pieces
  // have left the store buffer (measured: 33 against 8 ns for a claim and a release).
  static void describe(Slab& slab, const ClassView& view, ClassId id, Taken taken) noexcept {
    slab.size_class = id;
    slab.first = SlabIndex{taken.index};
    slab.count = 1;
    slab.word = taken.word;
    slab.data = view.slabs + std::uint64_t{taken.index} * view.geometry.slab_bytes;
  }

  /// Returns the number of slabs that hold `bytes`, at least one; `bytes` may be any number, as a
  /// peer may have written it. A shift, because a division takes longer than all the rest.
  static std::uint64_t slabs_for(std::uint64_t bytes, std::uint64_t slab_bytes) noexcept {
    return bytes == 0 ? 1 : ((bytes - 1) >> std::countr_zero(slab_bytes)) + 1;
  }

  /// Returns the number of eighths of a slab that hold `bytes`, which is at least 1.
  [[nodiscard]] static std::uint8_t eighths_for(std::uint64_t bytes,
                                                std::uint64_t slab_bytes) noexcept {
    // An eighth of a small slab is less than a page: all of it costs no more.
    if (slab_bytes < 8 * layout::kPageBytes) return layout::kFullyBacked;
    const auto shift = static_cast<unsigned>(std::countr_zero(slab_bytes)) - 3;
    return static_cast<std::uint8_t>(((bytes - 1) >> shift) + 1);
  }
  /// Returns whether this process knows of memory behind the first `bytes` of a slab, and has seen
  /// to its truth word.
  [[nodiscard]] static bool is_backed(const ClassView& view, std::uint32_t index,
                                      std::uint64_t bytes) noexcept {
    const auto known = view.backing[index].load(std::memory_order_relaxed);
    if (known == kBackedSlab) return true;
    return known != kAheadSlab && known >= kOpenSlab + eighths_for(bytes, view.geometry.slab_bytes);
  }
  /// Returns whether it can read them: where no access can fail for want of a page, an open slab is
  /// enough.
  [[nodiscard]] bool can_read(const ClassView& view, std::uint32_t index,
                              std::uint64_t bytes) const noexcept {
    const auto known = view.backing[index].load(std::memory_order_relaxed);
    if (known == kBackedSlab) [[likely]]
      return true;
    if (arena_.can_lack_pages() && bytes > 0) {
      return known >= kOpenSlab + eighths_for(bytes, view.geometry.slab_bytes);
    }
    return known >= kOpenSlab;
  }

  /// free -> held. Returns the new word, or 0 when the slab is not free.
  [[nodiscard]] MEWS_HOT std::uint64_t take_free(layout::AtomicTruthWord& word) noexcept {
    // Relaxed: only a guess for the exchange, which checks it.
    auto seen = word.load(std::memory_order_relaxed);
    if (layout::packed_phase(seen) != layout::Phase::free) return 0;
    const auto held = layout::packed_claim(seen, held_by_self_);
    // [P2] acquire: the last holder's accesses to the bytes before ours; partner [P1]. ABA: the
    // generation.
    return word.compare_exchange_strong(seen, held, std::memory_order_acquire,
                                        std::memory_order_relaxed)
               ? held
               : 0;
  }

  /// The next in turn of the current chunk's warm slabs.
  struct Turn {
    std::uint32_t index;
    std::uint32_t next;
    std::uint32_t warm;
  };
  /// Returns false when it is time to look at the flow, or past the warm slabs. Relaxed: see
  /// `Home`.
  [[nodiscard]] MEWS_HOT bool take_turn(Home& home, Turn& turn) const noexcept {
    const auto& view = home.view;
    const auto chunk = home.chunk.load(std::memory_order_relaxed);
    if (chunk == kNoChunk) return false;
    const auto left = home.left.load(std::memory_order_relaxed);
    const auto warm = home.warm.load(std::memory_order_relaxed);
    const auto next = home.next.load(std::memory_order_relaxed);
    const auto index = (chunk << view.geometry.chunk_shift) + next;
    // Another thread's `warm` may be that of a larger chunk than this one, which is the last.
    if (left == 0 || next >= warm || index >= view.ordinary_slabs) {
      return false;  // nothing has changed: the next look finds the same
    }
    home.left.store(left - 1, std::memory_order_relaxed);
    turn = {.index = index, .next = next, .warm = warm};
    return true;
  }
  [[nodiscard]] MEWS_HOT Taken take_in_turn(Home& home, const Turn& turn) noexcept {
    const auto word = take_free(home.view.words[turn.index]);
    if (word != 0) {
      home.next.store(turn.next + 1 == turn.warm ? 0 : turn.next + 1, std::memory_order_relaxed);
    }
    return {word, turn.index};
  }

  void tell(ClassId id) const noexcept {
    if (listener_ != nullptr) listener_->on_freed(id);
  }

  [[nodiscard]] Result<void> claim_any(Slab& slab, std::uint64_t bytes, Deadline deadline,
                                       Purpose purpose);
  [[nodiscard]] bool claim_kept(Slab& slab, std::uint32_t smallest, std::uint32_t last);
  [[nodiscard]] Result<void> back_claimed(Slab& slab, std::uint64_t bytes, Deadline deadline);
  struct Wanted {
    std::uint8_t eighths;
    Arena::OnFailure on_failure;
    Deadline deadline;
  };
  [[nodiscard]] Result<std::uint8_t> back_one(ClassId id, SlabIndex index, const Wanted& wanted);
  /// Makes the first `bytes` of a received slab readable for this process.
  [[nodiscard]] std::optional<ErrorCode> prepare(const Slab& slab, std::uint64_t bytes) noexcept;
  void record_backed(Slab& slab, SlabIndex index, std::uint8_t eighths) noexcept;
  [[nodiscard]] Taken claim_in_chunk(ClassId id, std::uint32_t chunk, std::uint64_t bytes);
  [[nodiscard]] Taken claim_elsewhere(ClassId id, std::uint64_t bytes);
  [[nodiscard]] Taken claim_lowest(const ClassView& view, Home& home);
  [[nodiscard]] Taken claim_colder(ClassId id, std::uint32_t chunk, std::uint32_t warm);
  void look_at_flow(ClassId id, std::uint32_t chunk, std::uint64_t bytes);
  static void look_later(Home& home, bool can_grow) noexcept;
  [[nodiscard]] bool back_ahead(ClassId id, SlabIndex first, std::uint32_t count);
  [[nodiscard]] Taken steal(const ClassView& view);
  [[nodiscard]] Taken sweep(const ClassView& view);
  [[nodiscard]] std::optional<std::uint32_t> adopt_chunk(const ClassView& view, ClassId id,
                                                         Home& home);
  [[nodiscard]] Taken scan(const ClassView& view, std::uint32_t begin, std::uint32_t end);
  [[nodiscard]] bool claim_run(Slab& run, std::uint32_t count);
  [[nodiscard]] std::uint32_t claim_row(Slab& run, std::uint32_t begin, std::uint32_t count);
  std::uint32_t hold_again(Slab& slab, LaneId lane) noexcept;
  bool release_run(const Slab& slab) noexcept;

  const Arena& arena_;
  const PeerId self_;
  const std::uint64_t held_by_self_ =  ///< see `layout::packed_holder`
      layout::packed_holder(static_cast<std::uint16_t>(self_.value()));
  FreedListener* const listener_;
  /// [i]: the smallest class that holds 2^i bytes; kNoClass: none does.
  std::array<std::uint8_t, 65> class_by_width_{};
  std::array<Home, layout::kMaxClasses> homes_;
};

}  // namespace mews::inline MEWS_LAYOUT::mem
