// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/block_cache.hpp"

namespace mews::inline MEWS_LAYOUT::base {

#if defined(MEWS_STEPPED)
/// Tells the threads of the model checker apart; null means: those of the system.
inline const void* (*thread_token_model)() = nullptr;
#endif

/// The calling thread's own: no other thread that lives has the same, and the thread has it in a
/// program and in a shared library alike. (The address of a variable that each thread has anyway.)
[[nodiscard]] inline const void* thread_token() noexcept {
#if defined(MEWS_STEPPED)
  if (thread_token_model != nullptr) return thread_token_model();
#endif
  return &spare_block;
}

}  // namespace mews::inline MEWS_LAYOUT::base
