// SPDX-License-Identifier: MIT
#include "mews/sync/yielder.hpp"

#include <sched.h>

namespace mews::inline MEWS_LAYOUT::sync {

void Cpu::yield() noexcept {
  ::sched_yield();
}

unsigned Cpu::number() noexcept {
  const int cpu = ::sched_getcpu();
  return cpu < 0 ? 0 : static_cast<unsigned>(cpu);
}

}  // namespace mews::inline MEWS_LAYOUT::sync
