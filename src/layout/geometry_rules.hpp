// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "mews/layout/geometry.hpp"

namespace mews::inline MEWS_LAYOUT::layout {

/// 64-bit words of a bitmap of `bits`.
[[nodiscard]] constexpr std::uint64_t hint_words(std::uint64_t bits) noexcept {
  return (bits + 63) / 64;
}

/// Whose names the sentences of a fault use: the header's fields, or the options of who creates.
enum class Terms : std::uint8_t { header, options };

/// What every arena obeys, planned or read: ranges and powers of two of all counts, the order of
/// the class table. Reads no offsets.
[[nodiscard]] std::optional<GeometryFault> check_counts(const Geometry& geometry, Terms terms);

/// Every range within the arena, aligned, none overlapping another.
[[nodiscard]] std::optional<GeometryFault> check_ranges(const Geometry& geometry);

/// FNV-1a over the header's first `kChecksummedBytes`.
[[nodiscard]] std::uint64_t checksum_of(const HeaderFields& header) noexcept;

}  // namespace mews::inline MEWS_LAYOUT::layout
