// SPDX-License-Identifier: MIT
#include "mews/os/membarrier.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "mews/base/atomic.hpp"

namespace mews::os {
namespace {

// word         writer                 readers      protects
// registered   register_light_fence   all threads  nothing: a flag by itself, hence relaxed
std::atomic<bool> registered{false};

bool membarrier(int command) noexcept {
  return ::syscall(SYS_membarrier, command, 0U, 0) == 0;
}

bool is_wanted() noexcept {
#if defined(MEWS_STEPPED)
  return false;
#else
  if (base::kIsThreadSanitized) return false;
  const char* full = std::getenv("MEWS_FULL_FENCE");
  return full == nullptr || *full == '\0';
#endif
}

}  // namespace

bool register_light_fence() noexcept {
  // Registering twice is cheap and harmless, so nothing is remembered that a fork could falsify.
  // The barrier is tried as well: a seccomp filter may allow one command and forbid the other.
  const bool ok = is_wanted() && membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) &&
                  membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
  // Never taken back: peers have been told, and the kernel has no unregister.
  if (ok) registered.store(true, std::memory_order_relaxed);  // relaxed: see the table
  return ok;
}

bool has_light_fence() noexcept {
#if defined(MEWS_STEPPED)
  if (has_modelled_fence) return true;
#endif
  return registered.load(std::memory_order_relaxed);  // relaxed: see the table
}

void heavy_fence() noexcept {
#if defined(MEWS_STEPPED)
  if (has_modelled_fence) return base::announce(base::Step::heavy_fence, nullptr, 0);
#endif
  if (has_light_fence() && membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED)) return;
  base::full_fence();
}

}  // namespace mews::os
