// SPDX-License-Identifier: MIT
#include "mews/sync/spin.hpp"

#include <sched.h>

namespace mews::inline MEWS_LAYOUT::sync {

unsigned usable_cpus() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace mews::inline MEWS_LAYOUT::sync
