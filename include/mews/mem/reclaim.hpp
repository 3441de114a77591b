// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "mews/ids.hpp"
#include "mews/mem/slab_pool.hpp"

namespace mews::inline MEWS_LAYOUT::mem {

/// The number of slabs and chunks that `reclaim` found.
struct Reclaimed {
  std::uint32_t held = 0;       ///< slabs that the dead peer held
  std::uint32_t in_flight = 0;  ///< slabs sent to it, or half sent by it
  std::uint32_t chunks = 0;     ///< home chunks that nobody owns now
};

/// A peer that is known to be dead, with its two lanes.
struct DeadPeer {
  PeerId peer{};
  LaneId from_it{};  ///< its lane to the host
  LaneId to_it{};    ///< the host's lane to it
  /// Payloads of its published records that nobody has received yet: these are still delivered.
  std::span<const SlabHandle> published;
};

/// Frees every slab that `dead` held, that was on its way to it, or that it was about to send;
/// leaves the slabs that it had published, and those that others received from it.
///
/// Host only, once the kernel says that the process is gone, and after the host's senders can see
/// that. One scan over all truth words that have memory behind them, as the kernel says, each
/// repaired by one compare-exchange: an interrupted repair is simply done again. The caller rings
/// the freed bells.
Reclaimed reclaim(const Arena& arena, const DeadPeer& dead);

}  // namespace mews::inline MEWS_LAYOUT::mem
