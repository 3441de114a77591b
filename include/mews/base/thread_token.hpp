// SPDX-License-Identifier: MIT
#pragma once

namespace mews::base {

#if defined(MEWS_STEPPED)
/// Tells the threads of the model checker apart; null means: those of the system.
inline const void* (*thread_token_model)() = nullptr;
#endif

/// The calling thread's own: no other thread that lives has the same.
[[nodiscard]] inline const void* thread_token() noexcept {
#if defined(MEWS_STEPPED)
  if (thread_token_model != nullptr) return thread_token_model();
#endif
  static thread_local const char here = 0;
  return &here;
}

}  // namespace mews::base
