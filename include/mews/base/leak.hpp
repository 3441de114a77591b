// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::base {

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

}  // namespace mews::inline MEWS_LAYOUT::base
