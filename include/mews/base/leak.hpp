// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

namespace mews::base {

/// Part of an object that may have to outlive every reference to it.
struct LeakedNode {
  LeakedNode* next = nullptr;
};

/// Keeps the object that contains `part` for ever, where leak checkers find it.
inline void leak_on_purpose(LeakedNode& part) noexcept {
  static constinit std::atomic<LeakedNode*> kept{nullptr};
  // Relaxed: only a leak checker follows the list, and it stops all threads first.
  part.next = kept.exchange(&part, std::memory_order_relaxed);
}

}  // namespace mews::base
