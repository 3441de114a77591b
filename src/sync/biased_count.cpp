// SPDX-License-Identifier: MIT
#include "mews/sync/biased_count.hpp"

#include <chrono>
#include <thread>

#include "mews/os/membarrier.hpp"

namespace mews::inline MEWS_LAYOUT::sync {
namespace {

/// The biased thread needs a processor to go on; a sleep gives it one under every scheduler.
constexpr std::chrono::microseconds kPause{50};

}  // namespace

bool BiasedCount::gets_bias() noexcept {
  const void* nobody = nullptr;
  // [O1] relaxed: whose the bias is says nothing of anything else. ABA: it is never null again.
  return os::has_light_fence() &&
         biased_.compare_exchange_strong(nobody, base::thread_token(), std::memory_order_relaxed,
                                         std::memory_order_relaxed);
}

void BiasedCount::add_shared() noexcept {
  if (gets_bias() && try_change(1)) return;
  // Relaxed: the caller's own reference, or the owner's, keeps the object.
  shared_.fetch_add(1, std::memory_order_relaxed);
}

bool BiasedCount::drop_shared() noexcept {
  if (gets_bias() && try_change(-1)) return false;
  // [S1] release: this thread's use of the object; [S2] acquire: all others', before its end.
  return shared_.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

bool BiasedCount::take_bias() noexcept {
  // [O1] relaxed: the heavy fence orders it before [B2], on the biased thread too.
  const auto* const biased = biased_.exchange(&biased_, std::memory_order_relaxed);
  const bool is_elsewhere = biased != nullptr && biased != base::thread_token();
  return !is_elsewhere || os::heavy_fence();
}

bool BiasedCount::add_up() noexcept {
  const auto difference = own_.get() - 1 - kOpen;  // nobody changes it after [B2]
  // [S1] release, [S2] acquire: as in `drop_shared`.
  return shared_.fetch_add(difference, std::memory_order_acq_rel) + difference == 0;
}

bool BiasedCount::close() noexcept {
  // Without the fence the biased thread's part is not known: the shared part stays open, so that
  // it never says "the last one", and the object stays for good.
  if (!take_bias()) return false;
  while (is_busy())
    std::this_thread::sleep_for(kPause);
  return add_up();
}

}  // namespace mews::inline MEWS_LAYOUT::sync
