// SPDX-License-Identifier: MIT
#include <boost/interprocess/allocators/node_allocator.hpp>
#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>

#include "compare/heap.hpp"
#include "support/fail.hpp"
#include "support/pass_on.hpp"
#include "support/shared_block.hpp"

namespace mews::bench::compare {
namespace {

namespace interprocess = boost::interprocess;

/// Forked processes see it at the same address, so the one object serves them all.
template <std::size_t kBytes>
class NodeHeap {
 public:
  NodeHeap()
      : memory_(shared_memory(kSegmentBytes)),
        segment_(interprocess::create_only, memory_.get(), kSegmentBytes),
        nodes_(segment_.get_segment_manager()) {}

  [[nodiscard]] std::uint64_t* take() {
    auto* const word = reinterpret_cast<std::uint64_t*>(nodes_.allocate_one().get());
    *static_cast<volatile std::uint64_t*>(word) = reinterpret_cast<std::uint64_t>(word);
    return word;
  }
  void put(std::uint64_t* word) {
    require(*static_cast<volatile std::uint64_t*>(word) == reinterpret_cast<std::uint64_t>(word),
            "a node's header arrived changed");
    nodes_.deallocate_one(reinterpret_cast<Node*>(word));
  }

 private:
  struct Node {
    std::byte bytes[kBytes];
  };
  static constexpr std::size_t kNodesPerBlock = kBytes >= (1u << 20) ? 4 : 64;
  static constexpr std::size_t kSegmentBytes = kBytes * 400 + (std::size_t{1} << 20);
  using Segment = interprocess::basic_managed_external_buffer<
      char, interprocess::rbtree_best_fit<interprocess::mutex_family>, interprocess::iset_index>;

  std::shared_ptr<std::byte> memory_;
  Segment segment_;
  interprocess::node_allocator<Node, Segment::segment_manager, kNodesPerBlock> nodes_;
};

template <std::size_t kBytes>
CasePtr alone() {
  auto heap = std::make_shared<NodeHeap<kBytes>>();
  return local_case(
      [heap](const Batch& batch) { repeat(batch, [&] { heap->put(heap->take()); }); });
}
template <std::size_t kBytes>
CasePtr released_there() {
  auto heap = std::make_shared<NodeHeap<kBytes>>();
  return pass_on_case<std::uint64_t*>([heap] { return heap->take(); },
                                      [heap](std::uint64_t* word) { heap->put(word); });
}

/// The size is a part of the allocator's type.
template <std::size_t kBytes = 1024>
CasePtr make(std::size_t bytes, bool is_alone) {
  if constexpr (kBytes > (16u << 20)) {
    fail("no node allocator of this size");
  } else {
    if (bytes == kBytes) return is_alone ? alone<kBytes>() : released_there<kBytes>();
    return make<kBytes * 4>(bytes, is_alone);
  }
}

}  // namespace

CasePtr node_alone(std::size_t bytes) {
  return make(bytes, true);
}
CasePtr node_released_there(std::size_t bytes) {
  return make(bytes, false);
}

}  // namespace mews::bench::compare
