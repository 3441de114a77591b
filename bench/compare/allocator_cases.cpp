// SPDX-License-Identifier: MIT
#include <cstdlib>

#include "compare/case_peer.hpp"
#include "compare/columns.hpp"
#include "compare/heap.hpp"
#include "support/slab_cases.hpp"

namespace mews::bench::compare {
namespace {

constexpr const char* kMimalloc[] = {"libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so.2.0",
                                     "libmimalloc.so", nullptr};
constexpr const char* kJemalloc[] = {"libjemalloc.so.2", "libjemalloc.so", nullptr};

struct NamedHeap {
  const char* name;
  std::optional<Heap> heap;
  const char* package;
};

const std::vector<NamedHeap>& heaps() {
  static const std::vector<NamedHeap> all{
      {"glibc malloc", Heap{std::malloc, std::free}, ""},
      {"mimalloc", load_heap(kMimalloc, "mi_malloc", "mi_free"), "libmimalloc-dev"},
      {"jemalloc", load_heap(kJemalloc, "malloc", "free"), "libjemalloc-dev"}};
  return all;
}

Peer heap_peer(const NamedHeap& named, std::size_t bytes, bool is_alone) {
  const auto heap = named.heap.value_or(Heap{});
  auto peer = case_peer(named.name, [=] {
    return is_alone ? heap_alone(heap, bytes) : heap_released_there(heap, bytes);
  });
  if (!named.heap) {
    peer.refusal = [package = named.package](const Job&) {
      return std::string("cannot be loaded, needs ") + package;
    };
  }
  return peer;
}

CaseSpec allocator_case(std::size_t bytes, bool is_alone) {
  CaseSpec spec;
  const auto size = size_text(bytes);
  spec.name = std::string("allocator/") + (is_alone ? "alone/" : "elsewhere/") + size;
  spec.title = size + " claimed, its first word written, and released " +
               (is_alone ? "by the same thread"
                         : "by another process (glibc, mimalloc, jemalloc: by another thread)");
  spec.columns = {each_column()};
  spec.peers.push_back(
      case_peer("mews", [=] { return is_alone ? slab_alone(bytes) : slab_freed_there(bytes); }));
  spec.peers.push_back(case_peer("Boost managed segment", [=] {
    return is_alone ? best_fit_alone(bytes) : best_fit_freed_there(bytes);
  }));
  spec.peers.push_back(case_peer("Boost node_allocator", [=] {
    return is_alone ? node_alone(bytes) : node_released_there(bytes);
  }));
  for (const auto& named : heaps())
    spec.peers.push_back(heap_peer(named, bytes, is_alone));
  spec.peers.push_back(
      case_peer("free list by hand", is_alone ? free_list_alone : free_list_freed_there, true));
  return spec;
}

}  // namespace

void add_allocator_cases(std::vector<CaseSpec>& cases) {
  for (const bool is_alone : {true, false}) {
    for (const auto bytes : class_bytes())
      cases.push_back(allocator_case(bytes, is_alone));
  }
}

}  // namespace mews::bench::compare
