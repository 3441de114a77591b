// SPDX-License-Identifier: MIT
#include "mews/sync/role.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

bool Role::try_enter_unbiased() noexcept {
  // [L3] acquire: the state that the last unbiased holder left; partner [L2].
  if (exclusive_.exchange(true, std::memory_order_acquire)) return false;
  // Relaxed: no other thread writes it before `exclusive_` is released.
  if (const auto biased = current_.load(std::memory_order_relaxed); biased != kUnbiased) {
    // [V1] relaxed: the heavy fence orders it before [V2], on the owner's thread too; partner [B2].
    current_.store(kUnbiased, std::memory_order_relaxed);
    if (!os::heavy_fence()) {
      // Nobody can know whether the owner is inside, so the owner keeps the role. Relaxed: no other
      // thread has been in it since.
      current_.store(biased, std::memory_order_relaxed);
      exclusive_.store(false, std::memory_order_release);  // [L2]
      return false;
    }
  }
  for (std::uint32_t i = 0; i < used_slots_; ++i) {
    // [V2] acquire: the state that the owner left; partners [B1], [L1]. True: the owner is inside,
    // or entering.
    if (slots_[i].busy.load(std::memory_order_acquire)) {
      exclusive_.store(false, std::memory_order_release);  // [L2]
      return false;
    }
  }
  entered_ = kUnbiased;
  const auto* self = base::thread_token();
  entries_in_a_row_ = last_ == self ? entries_in_a_row_ + 1 : 1;
  last_ = self;
  if (entries_in_a_row_ < kBiasAfter || used_slots_ == kSlots || !os::has_light_fence()) {
    return true;
  }
  entries_in_a_row_ = 0;
  // Relaxed, both: nobody looks at this slot before the release below.
  auto& slot = slots_[used_slots_];
  slot.owner.store(last_, std::memory_order_relaxed);
  slot.busy.store(true, std::memory_order_relaxed);
  entered_ = used_slots_++;
  // [V3] and [L2] release: the slot, and `busy` with it, before the bias and before the exclusive
  // flag goes; partners [B2] and [L3].
  current_.store(entered_, std::memory_order_release);
  exclusive_.store(false, std::memory_order_release);
  return true;
}

}  // namespace mews::inline MEWS_LAYOUT::sync
