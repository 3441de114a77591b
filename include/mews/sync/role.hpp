// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/base/inline.hpp"
#include "mews/base/thread_token.hpp"
#include "mews/base/visible.hpp"
#include "mews/os/membarrier.hpp"

namespace mews::sync {

/// Catches a second thread in a part of the code that only one may be in, at (almost) no cost to
/// a thread that is alone there.
///
/// A locked operation per message would wait until the message's stores have left for the other
/// core (60 ns, measured). So the role is *biased* to the thread that uses it: that thread only
/// stores a flag of its own and checks that the bias is still there. Another thread takes the bias
/// away, runs a `heavy_fence`, and then sees that flag if the first is inside. Each bias has a slot
/// of its own, so that a flag has one writer for ever. Where there is no asymmetric fence, every
/// entry is an exchange.
///
/// word           writer              readers   publish / observe             protects
/// slots_[].busy  its owner thread    revoker   [B1] / [V2] after heavy_fence the bias
/// slots_[].owner who holds exclusive all       before current_ / [B0]        nothing: set once
/// current_       who holds exclusive all       [V1] / [B2]                   the bias
/// exclusive()    any thread          any       release / acquire             the role's state
///
/// Source: biased locking, as in K. Russell, D. Detlefs, "Eliminating Synchronization-Related
/// Atomic Operations with Biased Locking and Bulk Rebiasing", 2006; here the bias is taken away by
/// membarrier(2), and who finds the role taken does not wait.
///
/// Process-private. Never blocks, except while another thread revokes a bias (microseconds).
class Role {
 public:
  Role() = default;
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;

  struct Slot {
    base::LocalAtomic<const void*> owner{nullptr};
    base::LocalAtomic<bool> busy{false};
  };

  /// True when the calling thread is now alone in the role by its bias and owes `slot` a
  /// `leave_slot`. False when the role is not biased to this thread, or it is inside already:
  /// then it may `try_enter`. Calls nothing.
  [[nodiscard]] MEWS_HOT bool try_enter_biased(Slot*& slot) noexcept {
    // [B0] relaxed: a guess; whether the bias is still there is asked in [B2], and an owner who is
    // not seen yet is not this thread.
    slot = current_.load(std::memory_order_relaxed);
    if (slot->owner.load(std::memory_order_relaxed) != base::thread_token()) return false;
    // Relaxed: only this thread writes it. True: it is inside already.
    if (slot->busy.load(std::memory_order_relaxed)) return false;
    // [B1] relaxed: the revoker's heavy fence orders it before [B2] as seen by the revoker.
    slot->busy.store(true, std::memory_order_relaxed);
    base::compiler_fence();
    // [B2] acquire: what an earlier holder of the role wrote.
    if (current_.load(std::memory_order_acquire) == slot) return true;
    // Release: as in `leave`, though nothing was done inside.
    slot->busy.store(false, std::memory_order_release);
    return false;
  }
  /// How the fast paths enter: by the bias alone. The short runs of the stepped builds would never
  /// come by a bias, and are to follow the fast paths: they may enter without.
  [[nodiscard]] MEWS_HOT bool try_enter_fast(Slot*& slot) noexcept {
#if defined(MEWS_STEPPED)
    if (!try_enter()) return false;
    slot = entered_;
    return true;
#else
    return try_enter_biased(slot);
#endif
  }
  MEWS_HOT static void leave_slot(Slot& slot) noexcept {
    // Release: the role's state before the next holder, who reads this in [V2], or exchanges it.
    slot.busy.store(false, std::memory_order_release);
  }

  /// True when the calling thread is now alone in the role and owes a `leave`.
  [[nodiscard]] bool try_enter() noexcept {
    if (Slot* slot = nullptr; try_enter_biased(slot)) {
      entered_ = slot;
      return true;
    }
    return try_enter_unbiased();
  }

  void leave() noexcept {
    leave_slot(*entered_);
  }

 private:
  static constexpr std::uint32_t kSlots = 8;
  static constexpr std::uint32_t kBiasAfter = 16;  ///< entries in a row by one thread

  /// The slot behind the last one has no owner; its `busy` is the exclusive flag.
  [[nodiscard]] Slot* unbiased() noexcept {
    return &slots_[kSlots];
  }
  [[nodiscard]] base::LocalAtomic<bool>& exclusive() noexcept {
    return unbiased()->busy;
  }
  [[gnu::cold]] MEWS_VISIBLE bool try_enter_unbiased() noexcept;

  std::array<Slot, kSlots + 1> slots_{};
  base::LocalAtomic<Slot*> current_{unbiased()};
  // Written only inside the role:
  Slot* entered_ = unbiased();
  std::uint32_t used_slots_ = 0;
  std::uint32_t entries_in_a_row_ = 0;
  const void* last_ = nullptr;
};

/// Holds a role for a scope.
class RoleGuard {
 public:
  explicit RoleGuard(Role& role) noexcept : role_(role.try_enter() ? &role : nullptr) {}
  RoleGuard(const RoleGuard&) = delete;
  RoleGuard& operator=(const RoleGuard&) = delete;
  ~RoleGuard() {
    if (role_ != nullptr) role_->leave();
  }
  [[nodiscard]] explicit operator bool() const noexcept { return role_ != nullptr; }

 private:
  Role* role_;
};

}  // namespace mews::sync
