// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mews/options.hpp"

/// The arena of the crash tests: as small as it can be with every kind of class in it, so that all
/// of it can be lent out after every death.
namespace mews_test {

inline constexpr std::size_t kInline = 100;          ///< travels in the lane
inline constexpr std::size_t kSmall = 1000;          ///< one chunk that is not full
inline constexpr std::size_t kMiddle = 4000;         ///< what kSmall falls back on
inline constexpr std::size_t kHomed = 120'000;       ///< three chunks: homes, adopting, stealing
inline constexpr std::size_t kLarge = 1'100'000;     ///< no chunks: the lowest free slab
inline constexpr std::size_t kRun = 8'500'000;       ///< three adjacent slabs of the largest class
inline constexpr std::size_t kWideRun = 12'700'000;  ///< four of them

inline constexpr std::size_t kMostInline = 480;
inline constexpr std::size_t kHomedClass = 2;
inline constexpr std::size_t kLargestSlab = 4 << 20;  ///< from this size on there are no chunks

[[nodiscard]] inline std::vector<mews::SizeClass> crash_classes() {
  return {{1024, 6}, {4096, 4}, {1 << 20, 11}, {kLargestSlab, 16}};
}
[[nodiscard]] inline std::size_t whole_slab_count() {
  std::size_t count = 0;
  for (const auto& row : crash_classes())
    count += row.slab_count;
  return count;
}
/// Slabs that a message of so many bytes has, whichever class it got.
[[nodiscard]] constexpr std::uint32_t slabs_of(std::size_t bytes) noexcept {
  if (bytes <= kMostInline) return 0;
  return static_cast<std::uint32_t>((bytes + kLargestSlab - 1) / kLargestSlab);
}
inline constexpr std::uint32_t kRingCells = 32;

}  // namespace mews_test
