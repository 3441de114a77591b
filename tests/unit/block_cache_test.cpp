// SPDX-License-Identifier: MIT
#include "mews/base/block_cache.hpp"

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/failing_new.hpp"
#include "mews/base/sanitizer.hpp"

namespace {

using mews::base::blocks_kept;
using mews::base::get_block;
using mews::base::kBlockAlignment;
using mews::base::kBlockBytes;
using mews::base::kIsAddressSanitized;
using mews::base::put_block;

std::vector<std::byte*> get_blocks(std::size_t count) {
  std::vector<std::byte*> blocks;
  for (std::size_t i = 0; i < count; ++i)
    blocks.push_back(get_block());
  return blocks;
}

void put_blocks(const std::vector<std::byte*>& blocks) {
  for (auto* const block : blocks)
    put_block(block);
}

/// Its destructor runs after the cache's, which is made later.
struct LateUser {
  static inline bool has_run = false;
  static inline std::uint32_t kept = 99;
  bool is_used = false;
  ~LateUser() {
    auto* const block = get_block();
    std::memset(block, 1, kBlockBytes);
    put_block(block);
    kept = blocks_kept();
    has_run = is_used;
  }
};

}  // namespace

TEST_CASE("blocks: each is aligned to a line, writable as a whole, and nobody else's") {
  const auto blocks = get_blocks(40);
  CHECK(std::set<std::byte*>(blocks.begin(), blocks.end()).size() == 40);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    REQUIRE(blocks[i] != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(blocks[i]) % kBlockAlignment == 0);
    std::memset(blocks[i], static_cast<int>(i), kBlockBytes);
  }
  bool is_right = true;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (std::size_t at = 0; at < kBlockBytes; ++at)
      is_right = is_right && blocks[i][at] == static_cast<std::byte>(i);
  }
  CHECK(is_right);
  put_blocks(blocks);
}

TEST_CASE("blocks: one put back comes first, and a thread keeps 16 at most") {
  if (kIsAddressSanitized) SKIP("with the address sanitizer nothing is kept");
  put_blocks(get_blocks(40));
  CHECK(blocks_kept() == 16);
  auto* const first = get_block();
  auto* const second = get_block();
  put_block(first);
  CHECK(get_block() == first);
  put_block(second);
  put_block(first);
  CHECK(get_block() == second);
  CHECK(get_block() == first);
  put_blocks({first, second});
  CHECK(blocks_kept() == 16);
}

TEST_CASE("blocks: with the address sanitizer none is kept, so that it sees late uses") {
  if (!kIsAddressSanitized) SKIP("needs the address sanitizer");
  put_blocks(get_blocks(3));
  CHECK(blocks_kept() == 0);
}

TEST_CASE("blocks: another thread may put them back, and one that ends leaves none behind") {
  const auto blocks = get_blocks(30);
  std::uint32_t kept = 0;
  std::thread([&] {
    put_blocks(blocks);
    kept = blocks_kept();
  }).join();
  CHECK(kept == (kIsAddressSanitized ? 0 : 16));
}

TEST_CASE("blocks: they can be had and put back after the thread's destructors have run") {
  LateUser::has_run = false;
  std::thread([] {
    thread_local LateUser late;
    late.is_used = true;
    put_blocks(get_blocks(3));
  }).join();
  CHECK(LateUser::has_run);
  CHECK(LateUser::kept == 0);
}

TEST_CASE("blocks: null when there is no memory, and the cache serves on") {
  if (!mews_test::kHasFailingNew) SKIP("needs an operator new that can fail");
  auto held = get_blocks(blocks_kept());
  {
    const mews_test::FailingNew failing(1);
    held.push_back(get_block());
  }
  CHECK(held.back() == nullptr);
  held.pop_back();
  held.push_back(get_block());
  REQUIRE(held.back() != nullptr);
  put_block(held.back());
  {
    const mews_test::FailingNew failing(1);
    held.back() = get_block();
  }
  CHECK(held.back() != nullptr);
  put_blocks(held);
}
