// SPDX-License-Identifier: MIT
#include "geometry_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "mews/base/checked.hpp"
#include "mews/layout/cell.hpp"
#include "mews/layout/pool_state.hpp"
#include "mews/layout/seat_page.hpp"
#include "mews/layout/truth_word.hpp"

namespace mews::inline MEWS_LAYOUT::layout {
namespace {

GeometryFault bad(std::string sentence) {
  return {GeometryFault::Kind::bad_field, std::move(sentence)};
}

std::optional<GeometryFault> check_class(const Geometry& geometry, std::uint32_t i, Terms terms) {
  const auto& row = geometry.classes[i];
  const auto* classes = terms == Terms::options ? "size_classes" : "classes";
  if (!std::has_single_bit(row.slab_bytes) || row.slab_bytes < kMinSlabBytes ||
      row.slab_bytes > kMaxSlabBytes) {
    return bad(fmt::format("{}[{}].slab_bytes is {}, not a power of two from {} to {}", classes, i,
                           row.slab_bytes, kMinSlabBytes, kMaxSlabBytes));
  }
  if (i > 0 && row.slab_bytes <= geometry.classes[i - 1].slab_bytes) {
    return bad(fmt::format("{}[{}].slab_bytes is {}, not above {}[{}]'s {}", classes, i,
                           row.slab_bytes, classes, i - 1, geometry.classes[i - 1].slab_bytes));
  }
  if (row.slab_count == 0 || row.slab_count > kMaxSlabsPerClass) {
    return bad(fmt::format("{}[{}].slab_count is {}, not from 1 to {}", classes, i, row.slab_count,
                           kMaxSlabsPerClass));
  }
  if (!std::has_single_bit(row.chunk_slabs) || row.chunk_slabs > kMaxSlabsPerClass) {
    return bad(fmt::format("classes[{}].chunk_slabs is {}, not a power of two from 1 to {}", i,
                           row.chunk_slabs, kMaxSlabsPerClass));
  }
  return std::nullopt;
}

struct Range {
  std::string name;
  std::uint64_t offset;
  std::uint64_t units;
  std::uint64_t unit_bytes;
  std::uint64_t alignment;
  /// A table, which all peers write: between the pool's words and the cells, as rights to the
  /// memory are given by these two (`mem::Arena`).
  bool is_table = false;
};

std::vector<Range> ranges_of(const Geometry& g) {
  std::vector<Range> ranges{
      {"the header", 0, 1, sizeof(ArenaHeader), kPageBytes},
      {"seats_offset", g.seats_offset, g.peer_capacity, sizeof(SeatPage), kPageBytes},
      {"pool_offset", g.pool_offset, 1, sizeof(PoolState), kApartBytes},
      {"cells_offset", g.cells_offset, g.lane_count(), g.lane_cells_bytes(), kPageBytes},
  };
  for (std::uint32_t i = 0; i < g.class_count; ++i) {
    const auto& row = g.classes[i];
    const auto name = [i](const char* field) { return fmt::format("classes[{}].{}", i, field); };
    ranges.push_back({name("words_offset"), row.words_offset, row.slab_count,
                      truth_word_stride(row.slab_bytes), kLineBytes, true});
    ranges.push_back({name("owners_offset"), row.owners_offset, row.chunk_count,
                      sizeof(std::uint32_t), kLineBytes, true});
    ranges.push_back({name("hints_offset"), row.hints_offset, hint_words(row.chunk_count),
                      sizeof(std::uint64_t), kLineBytes, true});
    ranges.push_back(
        {name("slabs_offset"), row.slabs_offset, row.slab_count, row.slab_bytes, kPageBytes});
  }
  return ranges;
}

std::optional<std::uint64_t> end_of(const Range& range) noexcept {
  const auto bytes = base::checked_mul(range.units, range.unit_bytes);
  return bytes ? base::checked_add(range.offset, *bytes) : std::nullopt;
}

}  // namespace

std::optional<GeometryFault> check_counts(const Geometry& geometry, Terms terms) {
  if (geometry.peer_capacity < 2 || geometry.peer_capacity > kMaxPeers) {
    return bad(fmt::format("peer_capacity is {}, not from 2 (a host and a plugin) to {}",
                           geometry.peer_capacity, kMaxPeers));
  }
  if (!std::has_single_bit(geometry.ring_cells) || geometry.ring_cells < kMinRingCells ||
      geometry.ring_cells > kMaxRingCells) {
    return bad(fmt::format("ring_cells is {}, not a power of two from {} to {}",
                           geometry.ring_cells, kMinRingCells, kMaxRingCells));
  }
  if (geometry.class_count == 0 || geometry.class_count > kMaxClasses) {
    return bad(terms == Terms::options
                   ? fmt::format("size_classes has {} rows: from 1 to {} are possible",
                                 geometry.class_count == 0 ? "no" : "too many", kMaxClasses)
                   : fmt::format("class_count is {}, not from 1 to {}", geometry.class_count,
                                 kMaxClasses));
  }
  if (geometry.fallback_classes > kMaxClasses) {
    return bad(fmt::format("fallback_classes is {}, not from 0 to {}", geometry.fallback_classes,
                           kMaxClasses));
  }
  if (geometry.reply_slabs > kMaxSlabsPerClass) {
    return bad(fmt::format("reply_slabs is {}, not from 0 to {}", geometry.reply_slabs,
                           kMaxSlabsPerClass));
  }
  for (std::uint32_t i = 0; i < geometry.class_count; ++i) {
    if (auto fault = check_class(geometry, i, terms)) return fault;
  }
  return std::nullopt;
}

std::optional<GeometryFault> check_ranges(const Geometry& geometry) {
  auto ranges = ranges_of(geometry);
  for (const auto& range : ranges) {
    const auto end = end_of(range);
    if (!end) {
      return bad(fmt::format("{} is {}, which with {} x {} bytes overflows 64 bits", range.name,
                             range.offset, range.units, range.unit_bytes));
    }
    if (*end > geometry.arena_bytes) {
      return bad(fmt::format("{} is {}, which with {} x {} bytes lies outside arena_bytes {}",
                             range.name, range.offset, range.units, range.unit_bytes,
                             geometry.arena_bytes));
    }
    if (!base::is_aligned(range.offset, range.alignment)) {
      return bad(
          fmt::format("{} is {}, not a multiple of {}", range.name, range.offset, range.alignment));
    }
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.offset < b.offset; });
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (*end_of(ranges[i - 1]) > ranges[i].offset) {
      return bad(fmt::format("{} overlaps {} at {}", ranges[i].name, ranges[i - 1].name,
                             ranges[i].offset));
    }
  }
  for (const auto& range : ranges) {
    if (range.is_table &&
        (range.offset < geometry.pool_offset || *end_of(range) > geometry.cells_offset)) {
      return bad(fmt::format("{} is {}, not between pool_offset {} and cells_offset {}", range.name,
                             range.offset, geometry.pool_offset, geometry.cells_offset));
    }
  }
  if (geometry.pool_offset < geometry.seats_offset) {
    return bad(fmt::format("pool_offset is {}, before seats_offset {}", geometry.pool_offset,
                           geometry.seats_offset));
  }
  if (geometry.cells_offset < geometry.pool_offset) {
    return bad(fmt::format("cells_offset is {}, before pool_offset {}", geometry.cells_offset,
                           geometry.pool_offset));
  }
  return std::nullopt;
}

std::uint64_t checksum_of(const HeaderFields& header) noexcept {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  std::uint64_t hash = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < kChecksummedBytes; ++i)
    hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

}  // namespace mews::inline MEWS_LAYOUT::layout
