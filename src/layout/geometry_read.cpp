// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include "geometry_rules.hpp"
#include "mews/base/checked.hpp"
#include "mews/layout/geometry.hpp"

namespace mews::inline MEWS_LAYOUT::layout {
namespace {

using Kind = GeometryFault::Kind;

void copy_fields(const HeaderFields& header, Geometry& g) noexcept {
  std::copy(std::begin(header.arena_id), std::end(header.arena_id), g.arena_id);
  g.arena_bytes = header.arena_bytes;
  g.peer_capacity = header.peer_capacity;
  g.ring_cells = header.ring_cells;
  g.class_count = header.class_count;
  g.fallback_classes = header.fallback_classes;
  g.reply_slabs = header.reply_slabs;
  g.host_pid = header.host_pid;
  g.host_start_time = header.host_start_time;
  g.seats_offset = header.seats_offset;
  g.pool_offset = header.pool_offset;
  g.cells_offset = header.cells_offset;
  const auto rows = std::min(g.class_count, kMaxClasses);
  for (std::uint32_t i = 0; i < rows; ++i) {
    const auto& row = header.classes[i];
    g.classes[i] = {.slab_bytes = row.slab_bytes,
                    .slab_count = row.slab_count,
                    .chunk_slabs = row.chunk_slabs,
                    .chunk_shift = static_cast<std::uint32_t>(std::countr_zero(row.chunk_slabs)),
                    .chunk_count = row.chunk_slabs == 0 ? 0
                                                        : static_cast<std::uint32_t>(base::ceil_div(
                                                              row.slab_count, row.chunk_slabs)),
                    .words_offset = row.words_offset,
                    .owners_offset = row.owners_offset,
                    .hints_offset = row.hints_offset,
                    .slabs_offset = row.slabs_offset};
  }
}

std::optional<GeometryFault> check_identity(const HeaderFields& header, std::uint32_t ready) {
  // A new arena is all zeroes until its header is written.
  if (header.magic == 0 && ready != kReady)
    return GeometryFault{Kind::not_ready, "magic is still zero"};
  if (header.magic != kMagic) {
    return GeometryFault{Kind::not_an_arena,
                         fmt::format("magic is {:#018x}, not {:#018x}", header.magic, kMagic)};
  }
  if (header.layout_major != kLayoutMajor) {
    return GeometryFault{Kind::version,
                         fmt::format("layout_major is {}: the arena has layout {}.{}, this library "
                                     "knows {}.{}; rebuild host and plugin with the same mews",
                                     header.layout_major, header.layout_major, header.layout_minor,
                                     kLayoutMajor, kLayoutMinor)};
  }
  if (ready != kReady) return GeometryFault{Kind::not_ready, "ready is not set"};
  return std::nullopt;
}

}  // namespace

GeometryCheck read_geometry(const ArenaHeader& shared, std::uint64_t mapped_bytes) {
  GeometryCheck check;
  // Acquire, paired with the creator's release store: the fields were written before.
  const auto ready = shared.ready.load(std::memory_order_acquire);
  // Copied once: no later change in shared memory can matter.
  HeaderFields header;
  std::memcpy(&header, &shared.fields, sizeof header);
  check.fault = check_identity(header, ready);
  if (check.fault) return check;

  auto& geometry = check.geometry;
  copy_fields(header, geometry);
  if (geometry.arena_bytes != mapped_bytes) {
    check.fault = GeometryFault{
        Kind::bad_field, fmt::format("arena_bytes is {} but the memory has {} bytes: the arena "
                                     "was truncated, or is incomplete",
                                     geometry.arena_bytes, mapped_bytes)};
  }
  if (!check.fault) check.fault = check_counts(geometry, Terms::header);
  if (!check.fault) check.fault = check_ranges(geometry);
  if (!check.fault && geometry.arena_id[0] == 0 && geometry.arena_id[1] == 0) {
    check.fault = GeometryFault{Kind::bad_field, "arena_id is zero"};
  }
  if (!check.fault && header.checksum != checksum_of(header)) {
    check.fault = GeometryFault{
        Kind::bad_field, fmt::format("checksum is {:#018x}, the header's bytes give {:#018x}",
                                     header.checksum, checksum_of(header))};
  }
  return check;
}

}  // namespace mews::inline MEWS_LAYOUT::layout
