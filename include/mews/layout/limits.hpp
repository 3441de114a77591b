// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/layout_version.hpp"

/// Sizes that the format of the arena fixes.
namespace mews::inline MEWS_LAYOUT::layout {

inline constexpr std::uint64_t kMagic = 0x414e45524157454d;         // "MEWARENA" in memory
inline constexpr std::uint32_t kLayoutMajor = MEWS_LAYOUT_VERSION;  ///< differs: cannot attach
inline constexpr std::uint32_t kLayoutMinor = 0;  ///< differs: can attach; for errors

inline constexpr std::size_t kLineBytes = 64;
/// Two lines: the adjacent-line prefetcher pulls lines in pairs.
inline constexpr std::size_t kApartBytes = 128;
inline constexpr std::size_t kPageBytes = 4096;

inline constexpr std::uint32_t kMaxPeers = 4096;  ///< the truth word has 12 bits for a holder
inline constexpr std::uint32_t kMaxLanes = 2 * kMaxPeers;  ///< and 13 bits for a lane
inline constexpr std::uint32_t kMaxClasses = 16;
inline constexpr std::uint32_t kMaxSlabsPerClass = 1u << 24;
inline constexpr std::uint64_t kMinSlabBytes = 64;
inline constexpr std::uint64_t kMaxSlabBytes = std::uint64_t{1} << 32;
inline constexpr std::uint32_t kMinRingCells = 32;
inline constexpr std::uint32_t kMaxRingCells = 1u << 20;
/// 2^46: half of what a process can map on x86-64.
inline constexpr std::uint64_t kMaxArenaBytes = std::uint64_t{1} << 46;

inline constexpr std::uint32_t kCellBytes = 64;
inline constexpr std::uint32_t kMaxRecordCells = 8;
inline constexpr std::uint32_t kDescriptorBytes = 32;
/// A payload up to this size travels in the lane itself.
inline constexpr std::uint32_t kMaxInlineBytes = kMaxRecordCells * kCellBytes - kDescriptorBytes;
/// Cells that only control records may fill, so that control flows when bulk traffic is stuck.
inline constexpr std::uint32_t kControlCells = 8;

}  // namespace mews::inline MEWS_LAYOUT::layout
