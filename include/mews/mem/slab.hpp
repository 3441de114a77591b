// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/ids.hpp"

namespace mews::mem {

/// What a process remembers of slabs that it holds: one slab, or a run of adjacent slabs of the
/// largest class. Plain data; whoever has it owes the pool a `release` or a `send`.
struct Slab {
  ClassId size_class{};
  SlabIndex first{};
  std::uint32_t count = 0;    ///< slabs in the run, 1 for a single slab
  std::uint64_t word = 0;     ///< the first slab's truth word, as this process last wrote it
  std::byte* data = nullptr;  ///< page-aligned from 4 KiB up, otherwise aligned to its size
};

}  // namespace mews::mem
