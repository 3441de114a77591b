// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "mews/base/deadline.hpp"
#include "mews/error.hpp"
#include "mews/ids.hpp"
#include "mews/layout/cell.hpp"
#include "mews/layout/geometry.hpp"
#include "mews/layout/lane_state.hpp"
#include "mews/layout/peer_entry.hpp"
#include "mews/layout/pool_state.hpp"
#include "mews/layout/truth_word.hpp"
#include "mews/os/mapping.hpp"
#include "mews/os/memory_file.hpp"

namespace mews::mem {

/// One size class as this process sees it.
struct ClassView {
  layout::ClassGeometry geometry;
  layout::AtomicTruthWord* words = nullptr;       ///< slab_count of them
  base::Atomic<std::uint32_t>* owners = nullptr;  ///< chunk_count of them
  base::Atomic<std::uint64_t>* hints = nullptr;   ///< one bit per chunk
  std::byte* slabs = nullptr;

  /// Notes that the chunk of `slab` may have a free slab. Classes without chunks need no hints.
  void hint(std::uint32_t slab) const noexcept {
    if (geometry.chunk_slabs == 1) return;
    const auto chunk = slab >> geometry.chunk_shift;
    auto& word = hints[chunk / 64];
    const auto bit = std::uint64_t{1} << (chunk % 64);
    // seq_cst, after the slab is free; its partner, a peer that finds the chunk full, clears the
    // bit and then looks again.
    if ((word.load(std::memory_order_seq_cst) & bit) == 0) {
      word.fetch_or(bit, std::memory_order_seq_cst);
    }
  }
};

/// A mapped arena: turns indices into references, by private geometry only.
///
/// Indices given to it are the caller's own or were checked; what comes from a peer is checked in
/// `SlabPool::take` and in the lane consumer, nowhere else. Immutable once made: any thread.
class Arena {
 public:
  /// Makes an arena of `geometry` in `file`, which must be zeroed and of geometry.arena_bytes.
  [[nodiscard]] static Result<Arena> create(os::MemoryFile file, const layout::Geometry& geometry);

  /// Attaches to an arena without knowing anything of it. Waits until the creator has finished or
  /// the deadline passes (`not_ready`). `not_an_arena`, `version_mismatch`, `bad_geometry`.
  [[nodiscard]] static Result<Arena> attach(os::MemoryFile file, Deadline deadline);

  [[nodiscard]] const layout::Geometry& geometry() const noexcept { return geometry_; }
  [[nodiscard]] const os::MemoryFile& file() const noexcept { return file_; }

  [[nodiscard]] layout::PeerEntry& peer(PeerId id) const noexcept { return peers_[id.value()]; }
  [[nodiscard]] layout::LaneState& lane(LaneId id) const noexcept { return lanes_[id.value()]; }
  [[nodiscard]] std::span<layout::Cell> cells(LaneId id) const noexcept {
    return {cells_ + std::size_t{id.value()} * geometry_.ring_cells, geometry_.ring_cells};
  }
  [[nodiscard]] layout::PoolState& pool() const noexcept { return *pool_; }
  [[nodiscard]] const ClassView& view(ClassId id) const noexcept { return classes_[id.value()]; }
  [[nodiscard]] std::uint32_t class_count() const noexcept { return geometry_.class_count; }
  /// Slabs of the chunks that were ever given out. Above them no truth word was ever written, and
  /// looking at one would only bring a page into being.
  [[nodiscard]] std::uint32_t used_slabs(ClassId id) const noexcept {
    const auto& row = geometry_.classes[id.value()];
    // Relaxed: a stale cursor only hides slabs that were given out this moment.
    const auto fresh = pool_->fresh[id.value()].load(std::memory_order_relaxed);
    return std::min(std::min(fresh, row.chunk_count) << row.chunk_shift, row.slab_count);
  }

  /// Puts memory behind everything but the cells and the slabs.
  [[nodiscard]] Result<void> commit_control() const;
  /// Puts memory behind a lane's cells.
  [[nodiscard]] Result<void> commit_cells(LaneId id) const;
  /// Puts memory behind bytes `from` to `to` of the slab; on failure takes it away again.
  [[nodiscard]] Result<void> commit(ClassId id, SlabIndex slab, std::uint64_t from,
                                    std::uint64_t to) const;

 private:
  Arena(os::MemoryFile file, os::Mapping mapping, const layout::Geometry& geometry) noexcept;

  os::MemoryFile file_;
  os::Mapping mapping_;
  layout::Geometry geometry_;
  layout::PeerEntry* peers_;
  layout::LaneState* lanes_;
  layout::PoolState* pool_;
  layout::Cell* cells_;
  std::array<ClassView, layout::kMaxClasses> classes_{};
};

}  // namespace mews::mem
