// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/layout/cpu_turns.hpp"
#include "mews/layout/limits.hpp"

/// The shared words of the slab pool that belong to no single slab; entry i serves size class i.
///
/// offset size field       writer                        meaning
/// 0      64   fresh       any peer                      number of chunks ever given out; zero for
///                                                       classes whose chunks are single slabs
/// 128    64   freed_bell  waiter arms, freeing peer     "a slab of the class has become free"
/// 256    4096 turns       any waiter                    see cpu_turns.hpp; of no class
///
/// A chunk is a row of neighbouring slabs of one class. Per chunk there are two more hints, in
/// arrays of the class: its owner (1 + the peer whose home it is, 0 = nobody) and one bit "may
/// have a free slab". All of these only say where to look; the truth words alone say what is free.
namespace mews::inline MEWS_LAYOUT::layout {

struct PoolState {
  alignas(kApartBytes) base::Atomic<std::uint32_t> fresh[kMaxClasses];
  alignas(kApartBytes) base::Atomic<std::uint32_t> freed_bell[kMaxClasses];
  alignas(kApartBytes) CpuTurns turns;
};

static_assert(sizeof(PoolState) == 4352 && alignof(PoolState) == kApartBytes);
static_assert(offsetof(PoolState, fresh) == 0 && offsetof(PoolState, freed_bell) == 128);
static_assert(offsetof(PoolState, turns) == 256);

}  // namespace mews::inline MEWS_LAYOUT::layout
