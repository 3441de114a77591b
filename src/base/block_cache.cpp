// SPDX-License-Identifier: MIT
#include "mews/base/block_cache.hpp"

#include <array>
#include <new>

namespace mews::inline MEWS_LAYOUT::base {

constinit thread_local SpareBlock spare_block;

namespace {

void delete_block(std::byte* block) noexcept {
  ::operator delete (block, std::align_val_t{kBlockAlignment});
}

/// The blocks that a thread keeps. Few: a thread that only drops the blocks of other threads would
/// keep them for nothing.
struct Kept {
  std::uint32_t count = 0;
  std::array<std::byte*, kKeptBlocks> blocks{};
};
constinit thread_local Kept kept_blocks;

/// Opens this thread's cache, and empties it when the thread ends. A destructor that runs after
/// this one and puts a block back finds the cache closed.
class CacheLife {
 public:
  CacheLife() noexcept { spare_block.block = SpareBlock::kNone; }
  ~CacheLife() {
    const auto spare = spare_block.block;
    spare_block.block = SpareBlock::kClosed;
    if (spare > SpareBlock::kNone) delete_block(reinterpret_cast<std::byte*>(spare));
    auto& kept = kept_blocks;
    while (kept.count > 0)
      delete_block(kept.blocks[--kept.count]);
  }
  CacheLife(const CacheLife&) = delete;
  CacheLife& operator=(const CacheLife&) = delete;
};

/// Opens the cache on a thread's first call.
void open_cache() noexcept {
  static thread_local const CacheLife life;
  static_cast<void>(life);
}

}  // namespace

std::byte* get_block_slowly() noexcept {
  if (auto& kept = kept_blocks; kept.count > 0) return kept.blocks[--kept.count];
  return static_cast<std::byte*>(
      ::operator new (kBlockBytes, std::align_val_t{kBlockAlignment}, std::nothrow));
}

void put_block_slowly(std::byte* block) noexcept {
  if (!kIsAddressSanitized) open_cache();
  auto& kept = kept_blocks;
  if (spare_block.block == SpareBlock::kNone) {
    spare_block.block = reinterpret_cast<std::uintptr_t>(block);
  } else if (spare_block.block != SpareBlock::kClosed && kept.count < kept.blocks.size()) {
    kept.blocks[kept.count++] = block;
  } else {
    delete_block(block);
  }
}

std::uint32_t blocks_kept() noexcept {
  return kept_blocks.count + (spare_block.block > SpareBlock::kNone ? 1 : 0);
}

}  // namespace mews::inline MEWS_LAYOUT::base
