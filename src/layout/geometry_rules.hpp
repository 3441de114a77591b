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

/// The names in the sentence of a fault: the header's fields, or the creator's options.
enum class Terms : std::uint8_t { header, options };

/// Checks the rules of every arena, planned or read: ranges and powers of two of all counts, the
/// order of the class table. Reads no offsets.
[[nodiscard]] std::optional<GeometryFault> check_counts(const Geometry& geometry, Terms terms);

/// Checks that every range lies within the arena, is aligned and overlaps no other.
[[nodiscard]] std::optional<GeometryFault> check_ranges(const Geometry& geometry);

/// Returns FNV-1a over the header's first `kChecksummedBytes`.
[[nodiscard]] std::uint64_t checksum_of(const HeaderFields& header) noexcept;

}  // namespace mews::inline MEWS_LAYOUT::layout
