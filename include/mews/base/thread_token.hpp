// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/block_cache.hpp"

namespace mews::inline MEWS_LAYOUT::base {

#if defined(MEWS_STEPPED)
/// Returns the token of a thread of the model checker; null: the threads are the system's.
inline const void* (*thread_token_model)() = nullptr;
#endif

/// Returns the calling thread's token. No other living thread has the same one, and it is the same
/// in a program and in a shared library. (It is the address of a variable that each thread has
/// anyway.)
[[nodiscard]] inline const void* thread_token() noexcept {
#if defined(MEWS_STEPPED)
  if (thread_token_model != nullptr) return thread_token_model();
#endif
  return &spare_block;
}

}  // namespace mews::inline MEWS_LAYOUT::base
