// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "mews/layout/arena_header.hpp"
#include "mews/layout/cell.hpp"
#include "mews/layout/limits.hpp"

/// All offsets and sizes of an arena, in private memory: read from the header once, checked as a
/// whole, and from then on the only source of offsets. Nothing reads geometry from shared memory
/// a second time.
namespace mews::inline MEWS_LAYOUT::layout {

struct ClassGeometry {
  std::uint64_t slab_bytes = 0;
  std::uint32_t slab_count = 0;
  std::uint32_t chunk_slabs = 0;  ///< a power of two
  std::uint32_t chunk_shift = 0;  ///< its logarithm
  std::uint32_t chunk_count = 0;
  std::uint64_t words_offset = 0;
  std::uint64_t owners_offset = 0;
  std::uint64_t hints_offset = 0;
  std::uint64_t slabs_offset = 0;

  friend bool operator==(const ClassGeometry&, const ClassGeometry&) = default;
};

struct Geometry {
  std::uint64_t arena_id[2] = {};
  std::uint64_t arena_bytes = 0;
  std::uint32_t peer_capacity = 0;
  std::uint32_t ring_cells = 0;
  std::uint32_t class_count = 0;
  std::uint32_t fallback_classes = 0;
  std::uint32_t reply_slabs = 0;  ///< of each class; one slab at least serves all
  std::uint32_t host_pid = 0;
  std::uint64_t host_start_time = 0;
  std::uint64_t seats_offset = 0;
  std::uint64_t pool_offset = 0;
  std::uint64_t cells_offset = 0;
  std::array<ClassGeometry, kMaxClasses> classes{};

  [[nodiscard]] std::uint32_t lane_count() const noexcept { return 2 * (peer_capacity - 1); }
  /// Bytes from the cells of one lane to those of the next: whole pages, so that each lane can be
  /// protected separately.
  [[nodiscard]] std::uint64_t lane_cells_bytes() const noexcept {
    const auto bytes = std::uint64_t{ring_cells} * sizeof(Cell);
    return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  }
  /// Returns how many slabs of class `i`, from the first on, serve every claim. The others serve
  /// replies only, so that requests can never have all of them.
  [[nodiscard]] std::uint32_t ordinary_slabs(std::uint32_t i) const noexcept {
    const auto count = classes[i].slab_count;
    return count - std::min(reply_slabs, count - 1);
  }
  /// The largest payload: a run of all ordinary slabs of the largest class, and at most 2^40 - 1
  /// bytes.
  [[nodiscard]] std::uint64_t max_payload_bytes() const noexcept {
    const auto last = class_count - 1;
    return std::min(classes[last].slab_bytes * ordinary_slabs(last), kMaxPayloadBytes);
  }
  /// Returns the smallest class whose slab holds `bytes`; nothing above the largest class.
  [[nodiscard]] std::optional<std::uint32_t> class_for(std::uint64_t bytes) const noexcept {
    for (std::uint32_t i = 0; i < class_count; ++i) {
      if (bytes <= classes[i].slab_bytes) return i;
    }
    return std::nullopt;
  }

  friend bool operator==(const Geometry&, const Geometry&) = default;
};

/// One row that a host asks for.
struct ClassPlan {
  std::uint64_t slab_bytes;
  std::uint32_t slab_count;
};

struct ArenaPlan {
  std::uint32_t peer_capacity;
  std::uint32_t ring_cells;
  std::uint32_t fallback_classes;
  std::span<const ClassPlan> classes;
  std::uint32_t reply_slabs = 0;
};

/// Why a header cannot be used.
struct GeometryFault {
  enum class Kind : std::uint8_t { not_an_arena, version, not_ready, bad_field };
  Kind kind;
  std::string sentence;  ///< names the field and its value
};

/// A geometry, or the fault that rules it out.
struct GeometryCheck {
  Geometry geometry;
  std::optional<GeometryFault> fault;
};

/// Lays an arena out. An impossible plan (a zero or non-power-of-two ring, classes out of order,
/// too many of anything, more than 64 TiB) is a fault that names the field.
[[nodiscard]] GeometryCheck plan_geometry(const ArenaPlan& plan);

/// Writes the fields that describe `geometry` into zeroed memory.
void write_header(const Geometry& geometry, HeaderFields& header) noexcept;

/// Copies the header of a mapping of `mapped_bytes` once and checks the copy: magic, version,
/// readiness, every size and offset (range, alignment, overlap; arithmetic that cannot wrap), the
/// checksum. `shared` may be hostile and may change meanwhile; `mapped_bytes` must be at least
/// sizeof(ArenaHeader).
[[nodiscard]] GeometryCheck read_geometry(const ArenaHeader& shared, std::uint64_t mapped_bytes);

}  // namespace mews::inline MEWS_LAYOUT::layout
