// SPDX-License-Identifier: MIT
#include "mews/sync/role.hpp"

namespace mews::sync {

bool Role::try_enter_unbiased() noexcept {
  // Relaxed, all: of a slot that is this thread's, nobody else writes `busy`.
  const auto* own = current_.load(std::memory_order_relaxed);
  if (own->owner.load(std::memory_order_relaxed) == base::thread_token() &&
      own->busy.load(std::memory_order_relaxed)) {
    return false;  // inside already
  }
  // Acquire: the state that the last unbiased holder left.
  if (exclusive().exchange(true, std::memory_order_acquire)) return false;
  // Relaxed: no other thread writes it before `exclusive()` is released.
  if (auto* const biased = current_.load(std::memory_order_relaxed); biased != unbiased()) {
    // [V1] relaxed: the heavy fence orders it before [V2], on the owner's thread too.
    current_.store(unbiased(), std::memory_order_relaxed);
    if (!os::heavy_fence()) {
      // Whether the owner is inside cannot be known: the role stays its own. Relaxed: nobody else
      // has been in it since.
      current_.store(biased, std::memory_order_relaxed);
      exclusive().store(false, std::memory_order_release);
      return false;
    }
  }
  for (std::uint32_t i = 0; i < used_slots_; ++i) {
    // [V2] acquire: the state that the owner left; true: the owner is inside, or at the door.
    if (slots_[i].busy.load(std::memory_order_acquire)) {
      exclusive().store(false, std::memory_order_release);
      return false;
    }
  }
  entered_ = unbiased();
  const auto* self = base::thread_token();
  entries_in_a_row_ = last_ == self ? entries_in_a_row_ + 1 : 1;
  last_ = self;
  if (entries_in_a_row_ < kBiasAfter || used_slots_ == kSlots || !os::has_light_fence()) {
    return true;
  }
  entries_in_a_row_ = 0;
  // Relaxed, both: nobody looks at this slot before the release below.
  auto& slot = slots_[used_slots_++];
  slot.owner.store(last_, std::memory_order_relaxed);
  slot.busy.store(true, std::memory_order_relaxed);
  entered_ = &slot;
  // Release: the slot, and `busy` with it, before the bias and before the exclusive flag goes.
  current_.store(entered_, std::memory_order_release);
  exclusive().store(false, std::memory_order_release);
  return true;
}

}  // namespace mews::sync
