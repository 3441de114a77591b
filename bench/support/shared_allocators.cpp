// SPDX-License-Identifier: MIT
#include <array>
#include <atomic>
#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>

#include "mews/sync/spin.hpp"
#include "support/pass_on.hpp"
#include "support/slab_cases.hpp"

namespace mews::bench {
namespace {

namespace interprocess = boost::interprocess;

// One list of free blocks for everybody, popped and pushed at its head; a tag against ABA.
class FreeList {
 public:
  static constexpr std::uint32_t kBlocks = 4096;
  static constexpr std::size_t kBlockBytes = 1024;

  FreeList() {
    for (std::uint32_t i = 1; i <= kBlocks; ++i)
      put(i);
  }

  [[nodiscard]] std::uint32_t take() {
    auto head = head_.load(std::memory_order_acquire);
    for (;;) {
      const auto index = static_cast<std::uint32_t>(head);
      require(index != 0, "the free list is empty");
      const auto next = next_[index].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, tagged(head, next), std::memory_order_acquire)) {
        return index;
      }
    }
  }
  void put(std::uint32_t index) {
    auto head = head_.load(std::memory_order_relaxed);
    do {
      next_[index].store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
    } while (!head_.compare_exchange_weak(head, tagged(head, index), std::memory_order_release,
                                          std::memory_order_relaxed));
  }
  [[nodiscard]] volatile std::uint64_t& header(std::uint32_t index) {
    return *reinterpret_cast<volatile std::uint64_t*>(&blocks_[index]);
  }

 private:
  struct Block {
    std::byte bytes[kBlockBytes];
  };
  static std::uint64_t tagged(std::uint64_t head, std::uint32_t index) {
    return ((head >> 32) + 1) << 32 | index;
  }

  alignas(128) std::atomic<std::uint64_t> head_{0};
  alignas(128) std::array<std::atomic<std::uint32_t>, kBlocks + 1> next_{};
  std::array<Block, kBlocks + 1> blocks_;
};

using BestFitBuffer = interprocess::basic_managed_external_buffer<
    char, interprocess::rbtree_best_fit<interprocess::mutex_family>, interprocess::iset_index>;

// Forked processes see it at the same address, so the one object serves them all.
struct BestFit {
  explicit BestFit(std::uint64_t bytes)
      : memory(shared_memory(bytes * 300 + (1u << 20))),
        buffer(interprocess::create_only, memory.get(), bytes * 300 + (1u << 20)) {}

  [[nodiscard]] std::uint64_t* take(std::uint64_t bytes) {
    auto* block = static_cast<std::uint64_t*>(buffer.allocate(bytes));
    *static_cast<volatile std::uint64_t*>(block) = reinterpret_cast<std::uint64_t>(block);
    return block;
  }
  void put(std::uint64_t* block) {
    require(*static_cast<volatile std::uint64_t*>(block) == reinterpret_cast<std::uint64_t>(block),
            "a block's header arrived changed");
    buffer.deallocate(block);
  }

  std::shared_ptr<std::byte> memory;
  BestFitBuffer buffer;
};

}  // namespace

CasePtr free_list_alone() {
  auto list = make_shared_block<FreeList>();
  return local_case([list](const Batch& batch) {
    repeat(batch, [&] {
      const auto index = list->take();
      list->header(index) = index;
      list->put(index);
    });
  });
}

CasePtr free_list_freed_there() {
  auto list = make_shared_block<FreeList>();
  return pass_on_case<std::uint32_t>(
      [list] {
        const auto index = list->take();
        list->header(index) = index;
        return index;
      },
      [list](std::uint32_t index) {
        require(list->header(index) == index, "a block's header arrived changed");
        list->put(index);
      });
}

CasePtr best_fit_alone(std::uint64_t bytes) {
  auto heap = std::make_shared<BestFit>(bytes);
  return local_case(
      [heap, bytes](const Batch& batch) { repeat(batch, [&] { heap->put(heap->take(bytes)); }); });
}

CasePtr best_fit_freed_there(std::uint64_t bytes) {
  auto heap = std::make_shared<BestFit>(bytes);
  return pass_on_case<std::uint64_t*>([heap, bytes] { return heap->take(bytes); },
                                      [heap](std::uint64_t* block) { heap->put(block); });
}

}  // namespace mews::bench
