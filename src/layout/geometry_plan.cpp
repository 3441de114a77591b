// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>
#include <iterator>

#include "geometry_rules.hpp"
#include "mews/base/checked.hpp"
#include "mews/layout/cell.hpp"
#include "mews/layout/geometry.hpp"
#include "mews/layout/pool_state.hpp"
#include "mews/layout/seat_page.hpp"
#include "mews/layout/truth_word.hpp"

namespace mews::inline MEWS_LAYOUT::layout {
namespace {

// A writer that rewrites a slab right after the other core has read it waits for every line to come
// back. Slabs used in turn out of about 4 MiB have left the reader's cache by then (measured: 5 to
// 7 times the bandwidth for 16 KiB to 1 MiB, twice for 1 KiB). But there should be enough chunks
// for every peer to have one; below 512 slabs a chunk, more chunks bring nothing.
// Above 1 MiB the slab freed last is the best one, and a chunk is a single slab.
constexpr std::uint64_t kChunkBytes = std::uint64_t{4} << 20;
constexpr std::uint32_t kFewestChunks = 32;
constexpr std::uint32_t kSmallChunkSlabs = 512;

std::uint32_t chunk_slabs_for(const ClassPlan& plan) noexcept {
  const auto most = std::max(kSmallChunkSlabs, std::bit_floor(plan.slab_count / kFewestChunks));
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(std::bit_floor(kChunkBytes / plan.slab_bytes), 1, most));
}

// Hands out consecutive ranges. The rules bound every count and size before it is used, so that no
// sum here can wrap: 16 classes x 2^24 slabs x 2^32 bytes is below 2^61.
class Cursor {
 public:
  std::uint64_t take(std::uint64_t bytes, std::uint64_t alignment) noexcept {
    const auto begin = (end_ + alignment - 1) & ~(alignment - 1);
    end_ = begin + bytes;
    return begin;
  }

 private:
  std::uint64_t end_ = 0;
};

void place(Geometry& geometry) noexcept {
  Cursor cursor;
  cursor.take(kPageBytes, kPageBytes);
  geometry.seats_offset = cursor.take(geometry.peer_capacity * sizeof(SeatPage), kPageBytes);
  geometry.pool_offset = cursor.take(sizeof(PoolState), kApartBytes);
  for (std::uint32_t i = 0; i < geometry.class_count; ++i) {
    auto& row = geometry.classes[i];
    row.words_offset = cursor.take(row.slab_count * truth_word_stride(row.slab_bytes), kApartBytes);
    row.owners_offset = cursor.take(row.chunk_count * sizeof(std::uint32_t), kApartBytes);
    row.hints_offset = cursor.take(hint_words(row.chunk_count) * 8, kApartBytes);
  }
  geometry.cells_offset =
      cursor.take(geometry.lane_count() * geometry.lane_cells_bytes(), kPageBytes);
  for (std::uint32_t i = 0; i < geometry.class_count; ++i) {
    auto& row = geometry.classes[i];
    row.slabs_offset = cursor.take(row.slab_bytes * row.slab_count, kPageBytes);
  }
  geometry.arena_bytes = cursor.take(0, kPageBytes);
}

}  // namespace

GeometryCheck plan_geometry(const ArenaPlan& plan) {
  GeometryCheck check;
  auto& geometry = check.geometry;
  geometry.peer_capacity = plan.peer_capacity;
  geometry.ring_cells = plan.ring_cells;
  geometry.fallback_classes = plan.fallback_classes;
  geometry.reply_slabs = plan.reply_slabs;
  geometry.class_count = static_cast<std::uint32_t>(
      std::min<std::size_t>(plan.classes.size(), kMaxClasses + std::size_t{1}));
  for (std::uint32_t i = 0; i < geometry.class_count && i < kMaxClasses; ++i) {
    const auto& wish = plan.classes[i];
    auto& row = geometry.classes[i];
    row.slab_bytes = wish.slab_bytes;
    row.slab_count = wish.slab_count;
    if (wish.slab_bytes == 0) continue;
    row.chunk_slabs = chunk_slabs_for(wish);
    row.chunk_shift = static_cast<std::uint32_t>(std::countr_zero(row.chunk_slabs));
    row.chunk_count = static_cast<std::uint32_t>(base::ceil_div(row.slab_count, row.chunk_slabs));
  }
  check.fault = check_counts(geometry, Terms::options);
  if (check.fault) return check;
  place(geometry);
  if (geometry.arena_bytes > kMaxArenaBytes) {
    check.fault = GeometryFault{GeometryFault::Kind::bad_field,
                                "size_classes together exceed 64 TiB of address space"};
  }
  return check;
}

void write_header(const Geometry& geometry, HeaderFields& header) noexcept {
  header.magic = kMagic;
  header.layout_major = kLayoutMajor;
  header.layout_minor = kLayoutMinor;
  std::copy(std::begin(geometry.arena_id), std::end(geometry.arena_id), header.arena_id);
  header.arena_bytes = geometry.arena_bytes;
  header.peer_capacity = geometry.peer_capacity;
  header.ring_cells = geometry.ring_cells;
  header.class_count = geometry.class_count;
  header.fallback_classes = geometry.fallback_classes;
  header.reply_slabs = geometry.reply_slabs;
  header.host_pid = geometry.host_pid;
  header.host_start_time = geometry.host_start_time;
  header.seats_offset = geometry.seats_offset;
  header.pool_offset = geometry.pool_offset;
  header.cells_offset = geometry.cells_offset;
  for (std::uint32_t i = 0; i < geometry.class_count; ++i) {
    const auto& row = geometry.classes[i];
    header.classes[i] = {.slab_bytes = row.slab_bytes,
                         .slab_count = row.slab_count,
                         .chunk_slabs = row.chunk_slabs,
                         .words_offset = row.words_offset,
                         .owners_offset = row.owners_offset,
                         .hints_offset = row.hints_offset,
                         .slabs_offset = row.slabs_offset};
  }
  header.checksum = checksum_of(header);
}

}  // namespace mews::inline MEWS_LAYOUT::layout
