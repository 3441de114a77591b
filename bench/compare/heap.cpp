// SPDX-License-Identifier: MIT
#include "compare/heap.hpp"

#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>

#include "compare/ring.hpp"
#include "support/cpu.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

void touch(void* memory, std::uint64_t word) {
  require(memory != nullptr, "a heap is out of memory");
  *static_cast<volatile std::uint64_t*>(memory) = word;
}

/// Both ends are threads of this process, as no other may release what it allocated.
class ThreadCase : public Case {
 public:
  ThreadCase(const Heap& heap, std::size_t bytes) : heap_(heap), bytes_(bytes) {}

  double run(const Batch& batch) override {
    Ring ring(sizeof(void*), false);
    const auto begin = now_ns();
    std::thread other([&] {
      pin_to_nth_cpu(1);
      for (std::uint64_t i = 0; i < batch.operations; ++i) {
        while (!ring.has_message()) {
        }
        void* memory = nullptr;
        std::memcpy(&memory, ring.front().data(), sizeof memory);
        ring.pop();
        require(*static_cast<volatile std::uint64_t*>(memory) == i, "memory arrived changed");
        heap_.release(memory);
      }
    });
    for (std::uint64_t i = 0; i < batch.operations; ++i) {
      void* memory = heap_.allocate(bytes_);
      touch(memory, i);
      while (!ring.has_room()) {
      }
      std::memcpy(ring.next_slot().data(), &memory, sizeof memory);
      ring.publish();
    }
    other.join();
    return now_ns() - begin;
  }

 private:
  Heap heap_;
  std::size_t bytes_;
};

}  // namespace

std::optional<Heap> load_heap(const char* const* libraries, const char* allocate,
                              const char* release) {
  for (; *libraries != nullptr; ++libraries) {
    void* const library = ::dlopen(*libraries, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) continue;
    Heap heap;
    heap.allocate = reinterpret_cast<void* (*)(std::size_t)>(::dlsym(library, allocate));
    heap.release = reinterpret_cast<void (*)(void*)>(::dlsym(library, release));
    if (heap.allocate != nullptr && heap.release != nullptr) return heap;
  }
  return std::nullopt;
}

CasePtr heap_alone(const Heap& heap, std::size_t bytes) {
  return local_case([=](const Batch& batch) {
    repeat(batch, [&] {
      void* memory = heap.allocate(bytes);
      touch(memory, bytes);
      heap.release(memory);
    });
  });
}

CasePtr heap_released_there(const Heap& heap, std::size_t bytes) {
  return std::make_unique<ThreadCase>(heap, bytes);
}

}  // namespace mews::bench::compare
