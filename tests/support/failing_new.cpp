// SPDX-License-Identifier: MIT
#include "failing_new.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

/// Allocations of this thread until the one that fails; 0: none does.
thread_local constinit std::uint64_t to_failure = 0;
/// Those behind it that fail as well.
thread_local constinit std::uint64_t more_failures = 0;

}  // namespace

#if MEWS_TEST_FAILING_NEW
namespace {

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (to_failure != 0 && --to_failure == 0) throw std::bad_alloc();
  if (to_failure == 0 && more_failures != 0) {
    --more_failures;
    throw std::bad_alloc();
  }
  const auto whole = (bytes / alignment + 1) * alignment;  // none is of no bytes
  void* memory = alignment <= alignof(std::max_align_t) ? std::malloc(whole)
                                                        : std::aligned_alloc(alignment, whole);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The other forms call these.
void* operator new(std::size_t bytes) {
  return allocate(bytes, 1);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

#endif

namespace mews_test {

FailingNew::FailingNew(std::uint64_t number, std::uint64_t in_a_row) noexcept {
  to_failure = number;
  more_failures = in_a_row - 1;
}
FailingNew::~FailingNew() {
  to_failure = 0;
  more_failures = 0;
}
bool FailingNew::has_failed() const noexcept {
  return to_failure == 0;
}

}  // namespace mews_test
