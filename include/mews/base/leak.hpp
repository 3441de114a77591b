// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::base {

/// Part of an object that may have to outlive all that can name it.
struct LeakedNode {
  LeakedNode* next = nullptr;
};

/// Keeps the object that `part` belongs to for ever, where leak checkers find it.
inline void leak_on_purpose(LeakedNode& part) noexcept {
  static constinit std::atomic<LeakedNode*> kept{nullptr};
  // Relaxed: nobody follows the list but a leak checker, which stops all threads first.
  part.next = kept.exchange(&part, std::memory_order_relaxed);
}

}  // namespace mews::inline MEWS_LAYOUT::base
