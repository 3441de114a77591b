// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/base/inline.hpp"
#include "mews/base/thread_token.hpp"
#include "mews/base/visible.hpp"
#include "mews/os/membarrier.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

/// Catches a second thread in a part of the code that is for one thread, at (almost) no cost to a
/// thread that is alone there.
///
/// A locked operation per message would wait until the message's stores have left for the other
/// core (60 ns, measured). So the role is *biased* to the thread that uses it: that thread only
/// stores a flag of its own and checks that the bias is still there. Another thread, the revoker,
/// removes the bias, runs a `heavy_fence`, and then sees that flag if the first is inside. Each
/// bias has a slot of its own, so that a flag has one writer for ever. Where there is no asymmetric
/// fence, every entry is an exchange. A revoker is a thread that has set the
/// flag of the slot without an owner.
///
/// word               writer      readers          publish / observe             protects
/// slots_[].busy      its owner   owner, revokers  [B1], heavy fence / [V2]      the bias
///                                                 [L1] release / [V2] acquire   the role's state
/// slots_[].owner     its owner   any thread       relaxed, before [V3] / [B0]   nothing: set once
/// current_           its owner,  any thread       [V1], heavy fence / [B2]      the bias
///                    revokers                     [V3] release / [B2] acquire   its slot
/// unbiased().busy    any thread  any thread       [L1] release / [L3] acquire   the role's state
///
/// Source: biased locking, as in K. Russell, D. Detlefs, "Eliminating Synchronization-Related
/// Atomic Operations with Biased Locking and Bulk Rebiasing", 2006; here membarrier(2) removes the
/// bias, and a thread that finds the role occupied does not wait.
///
/// Process-private. Never blocks, except while another thread revokes a bias (microseconds).
class Role {
 public:
  Role() = default;
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;

  /// A thread's note that it is inside.
  struct Slot {
    base::LocalAtomic<const void*> owner{nullptr};
    base::LocalAtomic<bool> busy{false};
  };

  /// Returns the slot that the calling thread, now alone in the role, owes a `leave`; null when
  /// another thread is inside, or this one already.
  [[nodiscard]] MEWS_HOT Slot* try_enter() noexcept {
    // [B0] relaxed, both: a guess. [B2] asks whether the bias is still there, and an owner that is
    // not seen yet is not this thread.
    auto* const slot = current_.load(std::memory_order_relaxed);
    // Relaxed: only this thread writes it. True: it is inside already.
    if (slot->owner.load(std::memory_order_relaxed) == base::thread_token() &&
        !slot->busy.load(std::memory_order_relaxed)) [[likely]] {
      // [B1] relaxed: the revoker's heavy fence orders it before [B2] as seen by the revoker;
      // partner [V2].
      slot->busy.store(true, std::memory_order_relaxed);
      base::compiler_fence();
      // [B2] acquire: the role's state as it was when the bias was set; partners [V1], [V3].
      if (current_.load(std::memory_order_acquire) == slot) [[likely]] {
        if (slot == nullptr) __builtin_unreachable();  // spares the caller its question
        return slot;
      }
      leave(*slot);  // though nothing was done inside
    }
    return try_enter_unbiased();
  }

  MEWS_HOT static void leave(Slot& slot) noexcept {
    // [L1] release: the role's state before the next holder, which reads this in [V2], or in the
    // exchange [L3].
    slot.busy.store(false, std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t kSlots = 8;
  static constexpr std::uint32_t kBiasAfter = 16;  ///< entries in a row by one thread

  /// The slot behind the last one: it has no owner, and its `busy` is the exclusive flag.
  [[nodiscard]] Slot& unbiased() noexcept { return slots_[kSlots]; }
  [[gnu::cold]] MEWS_VISIBLE Slot* try_enter_unbiased() noexcept;

  std::array<Slot, kSlots + 1> slots_{};
  base::LocalAtomic<Slot*> current_{&slots_[kSlots]};
  // Written only inside the role:
  std::uint32_t used_slots_ = 0;
  std::uint32_t entries_in_a_row_ = 0;
  const void* last_ = nullptr;
};

/// Holds a role for a scope.
class RoleGuard {
 public:
  explicit RoleGuard(Role& role) noexcept : slot_(role.try_enter()) {}
  RoleGuard(const RoleGuard&) = delete;
  RoleGuard& operator=(const RoleGuard&) = delete;
  ~RoleGuard() {
    if (slot_ != nullptr) Role::leave(*slot_);
  }
  [[nodiscard]] explicit operator bool() const noexcept { return slot_ != nullptr; }

 private:
  Role::Slot* slot_;
};

}  // namespace mews::inline MEWS_LAYOUT::sync
