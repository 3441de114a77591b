// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/sanitizer.hpp"
#include "mews/base/visible.hpp"

/// Blocks of private memory, one size for all: a small payload needs 480 bytes, which stay where
/// they are when the object that owns them is moved.
namespace mews::inline MEWS_LAYOUT::base {

inline constexpr std::size_t kBlockBytes = 512;
inline constexpr std::size_t kBlockAlignment = 64;

/// The block that this thread put back last, where the next one that it asks for is found at once;
/// or what is no block. Plain data without a destructor, so that it can be used at any time in a
/// thread's life. Blocks do not point at each other: who writes to one that it has put back damages
/// at most the payload that comes next.
struct SpareBlock {
  enum : std::uintptr_t { kClosed = 0, kNone = 1 };
  std::uintptr_t block = kClosed;  ///< closed: this thread keeps none (yet, or any more)
};
/// One a thread, also where the library is a shared one.
MEWS_VISIBLE extern constinit thread_local SpareBlock spare_block;

/// Blocks that a thread keeps behind the spare one, at most.
inline constexpr std::uint32_t kKeptBlocks = 15;

/// Where there is no spare one: of those kept, or from `operator new`; null when there is no
/// memory.
[[nodiscard, gnu::cold]] MEWS_VISIBLE std::byte* get_block_slowly() noexcept;
/// Where one is spare already: to those kept, otherwise to `operator delete`.
[[gnu::cold]] MEWS_VISIBLE void put_block_slowly(std::byte* block) noexcept;
/// How many this thread keeps now, the spare one included.
[[nodiscard]] std::uint32_t blocks_kept() noexcept;

/// An uninitialised block of `kBlockBytes`, aligned to `kBlockAlignment`; null when the process is
/// out of memory. One put back lately comes first, as it is warm. Any thread; never blocks
/// but for `operator new`. With the address sanitizer each block is a new one, so that it sees what
/// is used after it was put back.
[[nodiscard]] inline std::byte* get_block() noexcept {
  const auto spare = spare_block.block;
  if (kIsAddressSanitized || spare <= SpareBlock::kNone) return get_block_slowly();
  spare_block.block = SpareBlock::kNone;
  return reinterpret_cast<std::byte*>(spare);
}

/// Any thread, not only the one that got it.
inline void put_block(std::byte* block) noexcept {
  if (kIsAddressSanitized || spare_block.block != SpareBlock::kNone) return put_block_slowly(block);
  spare_block.block = reinterpret_cast<std::uintptr_t>(block);
}

}  // namespace mews::inline MEWS_LAYOUT::base
