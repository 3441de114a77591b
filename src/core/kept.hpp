// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

namespace mews::detail {

/// An object that may have to outlive all that can name it.
struct Kept {
  Kept* next_kept = nullptr;
};

/// Keeps an object for ever, where leak checkers find it.
inline void keep_for_ever(Kept& object) noexcept {
  static constinit std::atomic<Kept*> kept{nullptr};
  // Relaxed: nobody follows the list but a leak checker, which stops all threads first.
  object.next_kept = kept.exchange(&object, std::memory_order_relaxed);
}

}  // namespace mews::detail
