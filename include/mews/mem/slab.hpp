// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/ids.hpp"
#include "mews/layout/cell.hpp"

namespace mews::inline MEWS_LAYOUT::mem {

/// A process's note of slabs that it holds: one slab, or a run of adjacent slabs of the largest
/// class. Plain data; its owner owes the pool a `release` or a `mark_in_flight`.
struct Slab {
  ClassId size_class{};
  SlabIndex first{};
  std::uint32_t count = 0;    ///< slabs in the run, 1 for a single slab
  std::uint64_t word = 0;     ///< the first slab's truth word, as this process last wrote it
  std::byte* data = nullptr;  ///< page-aligned from 4 KiB up, otherwise aligned to its size
};

/// A record's statement of its payload, unchecked.
struct SlabHandle {
  std::uint32_t size_class;
  std::uint32_t index;
  std::uint32_t generation;
  std::uint64_t bytes;
};
[[nodiscard]] constexpr SlabHandle handle_of(const layout::Descriptor& record) noexcept {
  return {.size_class = record.slab_class,
          .index = record.slab_index,
          .generation = record.generation,
          .bytes = record.bytes};
}

}  // namespace mews::inline MEWS_LAYOUT::mem
