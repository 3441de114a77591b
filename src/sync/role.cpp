// SPDX-License-Identifier: MIT
#include "mews/sync/role.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

Role::Slot* Role::try_enter_unbiased() noexcept {
  auto& exclusive = unbiased();
  auto* const biased = current_.load(std::memory_order_relaxed);
  // Relaxed, both: nobody else writes `busy` of a slot that is this thread's.
  if (biased->owner.load(std::memory_order_relaxed) == base::thread_token() &&
      biased->busy.load(std::memory_order_relaxed)) {
    return nullptr;  // inside already
  }
  // [L3] acquire: the state that the last unbiased holder left; partner [L1].
  if (exclusive.busy.exchange(true, std::memory_order_acquire)) return nullptr;
  // Relaxed: no other thread writes it before the exclusive flag is cleared.
  if (auto* const slot = current_.load(std::memory_order_relaxed); slot != &exclusive) {
    // [V1] relaxed: the heavy fence orders it before [V2], on the owner's thread too; partner [B2].
    current_.store(&exclusive, std::memory_order_relaxed);
    if (!os::heavy_fence()) {
      // Nobody can know whether the owner is inside, so the owner keeps the role. Relaxed: no other
      // thread has been in it since.
      current_.store(slot, std::memory_order_relaxed);
      leave(exclusive);
      return nullptr;
    }
  }
  for (std::uint32_t i = 0; i < used_slots_; ++i) {
    // [V2] acquire: the state that the owner left; partners [B1], [L1]. True: the owner is inside,
    // or entering.
    if (slots_[i].busy.load(std::memory_order_acquire)) {
      leave(exclusive);
      return nullptr;
    }
  }
  const auto* self = base::thread_token();
  entries_in_a_row_ = last_ == self ? entries_in_a_row_ + 1 : 1;
  last_ = self;
  if (entries_in_a_row_ < kBiasAfter || used_slots_ == kSlots || !os::has_light_fence()) {
    return &exclusive;
  }
  entries_in_a_row_ = 0;
  // Relaxed, both: nobody looks at this slot before the release below.
  auto& slot = slots_[used_slots_++];
  slot.owner.store(last_, std::memory_order_relaxed);
  slot.busy.store(true, std::memory_order_relaxed);
  // [V3] and [L1] release: the slot, and `busy` with it, before the bias and before the exclusive
  // flag goes; partners [B2] and [L3].
  current_.store(&slot, std::memory_order_release);
  leave(exclusive);
  return &slot;
}

}  // namespace mews::inline MEWS_LAYOUT::sync
