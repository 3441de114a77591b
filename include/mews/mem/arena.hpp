// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/ids.hpp"
#include "mews/layout/cell.hpp"
#include "mews/layout/geometry.hpp"
#include "mews/layout/pool_state.hpp"
#include "mews/layout/seat_page.hpp"
#include "mews/layout/truth_word.hpp"
#include "mews/os/mapping.hpp"
#include "mews/os/memory_file.hpp"
#include "mews/os/private_memory.hpp"

namespace mews::inline MEWS_LAYOUT::mem {

/// This process's own knowledge of the memory behind a slab, in private memory, so that no peer can
/// change it: 0 = the slab is not accessible yet; 1 + n = it is, and n eighths of it have memory,
/// below 8; `kAheadSlab` = all of it has, which its truth word does not say yet; `kBackedSlab` =
/// all of it has. That never stops being true: pages are given back only by a claim that found
/// none.
///
/// Relaxed in every use: a reader of a value needs nothing else from its writer, as the kernel has
/// changed the mapping for all threads before the value says so. ABA: values only grow. A plain
/// `std::atomic`: no other process can see it.
using Backing = std::atomic<std::uint8_t>;
inline constexpr std::uint8_t kOpenSlab = 1;
inline constexpr std::uint8_t kAheadSlab = kOpenSlab + layout::kFullyBacked;
inline constexpr std::uint8_t kBackedSlab = kAheadSlab + 1;

/// One size class as this process sees it. Orders of the truth words and hints: see `SlabPool`.
struct ClassView {
  layout::ClassGeometry geometry;
  layout::TruthWords words;                       ///< slab_count of them
  base::Atomic<std::uint32_t>* owners = nullptr;  ///< chunk_count of them
  base::Atomic<std::uint64_t>* hints = nullptr;   ///< one bit per chunk
  Backing* backing = nullptr;                     ///< private; slab_count of them
  std::byte* slabs = nullptr;
  std::uint32_t ordinary_slabs = 0;  ///< see `Geometry::ordinary_slabs`

  /// Returns how many slabs of a chunk serve every claim: none, if it has only the last ones.
  [[nodiscard]] std::uint32_t slabs_in_chunk(std::uint32_t chunk) const noexcept {
    const auto begin = chunk << geometry.chunk_shift;
    return begin < ordinary_slabs ? std::min(geometry.chunk_slabs, ordinary_slabs - begin) : 0;
  }
  /// Notes that the chunk of `slab` may have a free slab. Classes without chunks need no hints.
  void hint(std::uint32_t slab) const noexcept {
    if (geometry.chunk_slabs == 1) return;
    const auto chunk = slab >> geometry.chunk_shift;
    auto& word = hints[chunk / 64];
    const auto bit = std::uint64_t{1} << (chunk % 64);
    // [P3] seq_cst, both, after [P1]; partner [P4]: a peer that finds the chunk full clears the bit
    // and then looks again.
    if ((word.load(std::memory_order_seq_cst) & bit) == 0) {
      word.fetch_or(bit, std::memory_order_seq_cst);
    }
  }
};

/// A mapped arena: turns indices into references, by private geometry only.
///
/// A process may write only to the parts that it must write to, so that a stray write kills the
/// process that makes it:
///
/// part               host                              plugin in its own process
/// header             read                              read
/// seat pages         write                             its own: write; the others': read
/// pool, words, hints write                             write
/// cells              write, once the seat is offered   outgoing: write; incoming: read; no others
/// slabs              write, once it uses their chunk   write, once it uses their chunk
///
/// Core dumps have all but the slabs and the cells that are closed to the process: a dump would
/// bring every unused page into being.
///
/// The system's pages may be larger than the arena's: parts that share one are writable if any of
/// them is. An arena that is attached but not protected (by a tool, say) is writable but for the
/// header.
///
/// Indices given to it are the caller's own or were checked: a peer's are checked in
/// `SlabPool::accept` and in the lane consumer, nowhere else. Immutable once made: any thread.
class Arena {
 public:
  /// Makes an arena of `geometry` in `file`, which must be zeroed and of geometry.arena_bytes.
  [[nodiscard]] static Result<Arena> create(os::MemoryFile file, const layout::Geometry& geometry);

  /// Attaches to an arena without knowing anything of it. Waits until the creator has finished or
  /// the deadline passes (`not_ready`). `not_an_arena`, `version_mismatch`, `bad_geometry`.
  [[nodiscard]] static Result<Arena> attach(os::MemoryFile file, Deadline deadline);

  /// Limits this mapping to the rights of plugin `self`, see the table above. Before other threads
  /// use it.
  [[nodiscard]] Result<void> protect(PeerId self) const;
  /// Makes a lane's cells accessible: for the host, before it offers the seat. Any thread.
  [[nodiscard]] Result<void> open_cells(LaneId id) const;
  /// Makes `count` slabs from `first` on accessible, and the rest of their chunks. Any thread.
  [[nodiscard]] Result<void> open_slabs(ClassId id, SlabIndex first, std::uint32_t count) const;

  [[nodiscard]] const layout::Geometry& geometry() const noexcept { return geometry_; }
  [[nodiscard]] const os::MemoryFile& file() const noexcept { return file_; }

  [[nodiscard]] layout::PeerEntry& peer(PeerId id) const noexcept {
    return seats_[id.value()].entry;
  }
  [[nodiscard]] layout::LaneState& lane(LaneId id) const noexcept {
    return seats_[id.value() / 2 + 1].lanes[id.value() % 2];
  }
  /// Returns the words in which the reader of a lane says which calls on it it has taken.
  [[nodiscard]] layout::CallsTaken& calls_taken(LaneId id) const noexcept {
    return seats_[id.value() / 2 + 1].taken[id.value() % 2];
  }
  [[nodiscard]] std::span<layout::Cell> cells(LaneId id) const noexcept {
    return {reinterpret_cast<layout::Cell*>(mapping_.bytes().data() + cells_offset(id)),
            geometry_.ring_cells};
  }
  /// Returns the number of peers from 0 on that ever had a seat. The pages of the others were never
  /// touched, and a look at one would bring it into being.
  [[nodiscard]] std::uint32_t seats_used() const noexcept {
    // Relaxed: for figures. Only the host writes it, but a wrong one is bounded here.
    return std::min(seats_[0].entry.seats_used.load(std::memory_order_relaxed),
                    geometry_.peer_capacity);
  }
  [[nodiscard]] layout::PoolState& pool() const noexcept { return *pool_; }
  [[nodiscard]] const ClassView& view(ClassId id) const noexcept { return classes_[id.value()]; }
  [[nodiscard]] std::uint32_t class_count() const noexcept { return geometry_.class_count; }
  /// Calls `visit(begin, end)` for each row of slabs of the class whose truth words have memory
  /// behind them, in ascending order; all other words are zero, and a look at one would only bring
  /// a page into being. The kernel says which these are; a peer can change that only by writing.
  template <class Visit>
  void for_each_touched_slab(ClassId id, Visit&& visit) const {
    const auto& row = geometry_.classes[id.value()];
    for_each_touched({row.words_offset, row.slab_count, layout::truth_word_stride(row.slab_bytes)},
                     visit);
  }
  /// The same for the chunks of a class, by their owner words.
  template <class Visit>
  void for_each_touched_chunk(ClassId id, Visit&& visit) const {
    const auto& row = geometry_.classes[id.value()];
    for_each_touched({row.owners_offset, row.chunk_count, sizeof(std::uint32_t)}, visit);
  }

  /// Returns whether an access to a page without memory can fail, rather than bring it into being:
  /// the file system of a named arena can be full.
  [[nodiscard]] bool can_lack_pages() const noexcept { return !is_sealed_; }

  /// Puts memory behind everything but the cells and the slabs.
  [[nodiscard]] Result<void> commit_control() const;
  /// Puts memory behind a lane's cells.
  [[nodiscard]] Result<void> commit_cells(LaneId id) const;
  /// Says whether a slab keeps the pages that it got before the system ran out.
  enum class OnFailure : std::uint8_t {
    keep,
    give_back,  ///< unless some were there before, as others may know of them. For the holder.
  };
  struct SlabBytes {
    std::uint64_t from;
    std::uint64_t to;
    OnFailure on_failure;
  };
  /// Puts memory behind bytes of a slab that is accessible. Returns how many of them have it: fewer
  /// only when the deadline has passed. `out_of_memory`.
  [[nodiscard]] Result<std::uint64_t> commit(ClassId id, SlabIndex slab, SlabBytes bytes,
                                             Deadline deadline) const;

 private:
  Arena(os::MemoryFile file, os::Mapping mapping, os::PrivateMemory backing,
        const layout::Geometry& geometry) noexcept;
  /// A mapping whose header was read or written becomes an arena, with the header read-only.
  [[nodiscard]] static Result<Arena> make(os::MemoryFile file, os::Mapping mapping,
                                          const layout::Geometry& geometry);
  struct Row {
    std::uint64_t offset;
    std::uint64_t count;
    std::uint64_t unit_bytes;
  };
  template <class Visit>
  void for_each_touched(const Row& row, Visit&& visit) const {
    const auto end = row.offset + row.count * row.unit_bytes;
    for (auto at = file_.next_data(row.offset); at < end; at = file_.next_data(at)) {
      const auto begin = (at - row.offset) / row.unit_bytes;
      // Goes on in any case, even if a peer punches holes meanwhile.
      at = std::clamp(file_.next_hole(at), at + row.unit_bytes, end);
      visit(static_cast<std::uint32_t>(begin),
            static_cast<std::uint32_t>((at - row.offset) / row.unit_bytes));
      if (at >= end) return;
    }
  }
  [[nodiscard]] std::uint64_t cells_offset(LaneId id) const noexcept {
    return geometry_.cells_offset + id.value() * geometry_.lane_cells_bytes();
  }
  [[nodiscard]] std::uint64_t cells_bytes() const noexcept {
    return geometry_.lane_count() * geometry_.lane_cells_bytes();
  }

  os::MemoryFile file_;
  os::Mapping mapping_;
  os::PrivateMemory backing_;
  layout::Geometry geometry_;
  bool is_sealed_;
  layout::SeatPage* seats_;
  layout::PoolState* pool_;
  std::array<ClassView, layout::kMaxClasses> classes_{};
};

}  // namespace mews::inline MEWS_LAYOUT::mem
