// SPDX-License-Identifier: MIT
#include "mews/os/membarrier.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "mews/base/atomic.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

// word   writer                             readers     publish / observe  protects
// state  register_light_fence, heavy_fence  any thread  relaxed            nothing: a lone flag
enum class State : std::uint8_t { unregistered, registered, broken };
std::atomic<State> state{State::unregistered};

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
  // A registration is never withdrawn: peers have been told, and the kernel has no unregister. Once
  // broken it stays so, as a seccomp filter does. ABA: no state goes back to unregistered.
  auto before = State::unregistered;
  if (ok) state.compare_exchange_strong(before, State::registered, std::memory_order_relaxed);
  return ok && before != State::broken;
}

bool has_light_fence() noexcept {
#if defined(MEWS_STEPPED)
  if (has_modelled_fence) return true;
#endif
  return state.load(std::memory_order_relaxed) == State::registered;  // relaxed: see the table
}

bool is_light_fence_broken() noexcept {
  return state.load(std::memory_order_relaxed) == State::broken;  // relaxed: see the table
}

bool heavy_fence() noexcept {
#if defined(MEWS_STEPPED)
  if (has_modelled_fence) {
    base::announce(base::Step::heavy_fence, nullptr, 0);
    return true;
  }
#endif
  const auto seen = state.load(std::memory_order_relaxed);  // relaxed: see the table
  if (seen != State::unregistered && membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED)) return true;
  if (seen == State::registered) state.store(State::broken, std::memory_order_relaxed);
  base::full_fence();
  return seen == State::unregistered;
}

}  // namespace mews::inline MEWS_LAYOUT::os
