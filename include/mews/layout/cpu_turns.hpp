// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/layout/limits.hpp"

/// How often waiters took turns, by processor: on a line each, as each processor writes its own.
/// Only a hint for `sync::Yielder`. Processors that differ by 64 share a place.
///
/// offset size field      writer       meaning
/// 0      4096 places[64] any waiter   +1 now and then while it waits on that processor (wraps)
namespace mews::inline MEWS_LAYOUT::layout {

struct CpuTurns {
  static constexpr unsigned kPlaces = 64;
  struct alignas(kLineBytes) Place {
    base::Atomic<std::uint32_t> count;
  };
  Place places[kPlaces];

  [[nodiscard]] base::Atomic<std::uint32_t>& of(unsigned cpu) noexcept {
    return places[cpu % kPlaces].count;
  }
};

static_assert(sizeof(CpuTurns) == 4096 && alignof(CpuTurns) == kLineBytes);

}  // namespace mews::inline MEWS_LAYOUT::layout
