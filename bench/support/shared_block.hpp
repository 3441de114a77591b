// SPDX-License-Identifier: MIT
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <new>
#include <span>

#include "support/fail.hpp"

namespace mews::bench {

/// Zeroed memory that stays shared with the children forked after it was made, at one address.
/// Pages are taken when touched.
inline std::shared_ptr<std::byte> shared_memory(std::size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  require(at != MAP_FAILED, "mmap");
  return {static_cast<std::byte*>(at), [bytes](std::byte* p) { ::munmap(p, bytes); }};
}

/// A `T` in such memory.
template <class T>
std::shared_ptr<T> make_shared_block() {
  auto memory = shared_memory(sizeof(T));
  return {memory, new (memory.get()) T()};
}

}  // namespace mews::bench
