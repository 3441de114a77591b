// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/sanitizer.hpp"
#include "mews/base/visible.hpp"

/// Blocks of private memory, all of one size. A small payload needs up to 480 bytes, which stay in
/// place when the object that owns them is moved.
namespace mews::inline MEWS_LAYOUT::base {

inline constexpr std::size_t kBlockBytes = 512;
inline constexpr std::size_t kBlockAlignment = 64;

/// The block that this thread put back last, ready for its next request; or a value that is no
/// block. Plain data without a destructor, so that it can be used at any time in a thread's life.
/// Blocks do not point at each other: a late write to a block that was put back damages at most the
/// next payload.
struct SpareBlock {
  enum : std::uintptr_t { kClosed = 0, kNone = 1 };
  std::uintptr_t block = kClosed;  ///< closed: this thread keeps none (yet, or any more)
};
/// One per thread, also when the library is a shared one.
MEWS_VISIBLE extern constinit thread_local SpareBlock spare_block;

/// Blocks that a thread keeps behind the spare one, at most.
inline constexpr std::uint32_t kKeptBlocks = 15;

/// When there is no spare block: returns a kept one, or a new one from `operator new`; null when
/// the process is out of memory.
[[nodiscard, gnu::cold]] MEWS_VISIBLE std::byte* get_block_slowly() noexcept;
/// When there is a spare block already: keeps this one, or gives it to `operator delete`.
[[gnu::cold]] MEWS_VISIBLE void put_block_slowly(std::byte* block) noexcept;
/// Returns the number of blocks that this thread keeps now, the spare one included.
[[nodiscard]] std::uint32_t blocks_kept() noexcept;

/// Returns an uninitialised block of `kBlockBytes`, aligned to `kBlockAlignment`; null when the
/// process is out of memory. A block that was put back lately comes first, as it is warm. Any
/// thread; never blocks but for `operator new`. Under the address sanitizer each block is new, so
/// that it sees a use after `put_block`.
[[nodiscard]] inline std::byte* get_block() noexcept {
  const auto spare = spare_block.block;
  if (kIsAddressSanitized || spare <= SpareBlock::kNone) return get_block_slowly();
  spare_block.block = SpareBlock::kNone;
  return reinterpret_cast<std::byte*>(spare);
}

/// Puts a block back. Any thread, not only the one that got it.
inline void put_block(std::byte* block) noexcept {
  if (kIsAddressSanitized || spare_block.block != SpareBlock::kNone) return put_block_slowly(block);
  spare_block.block = reinterpret_cast<std::uintptr_t>(block);
}

}  // namespace mews::inline MEWS_LAYOUT::base
