// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "mews/layout/lane_state.hpp"
#include "mews/layout/limits.hpp"
#include "mews/layout/peer_entry.hpp"

/// The arena's words of one peer, on a page of their own. Other plugins map it read-only, so that a
/// stray write kills the process that makes it.
///
///  +--------------+ 0
///  | PeerEntry    |
///  +--------------+ 128
///  | LaneState    | the lane from the host to this peer
///  +--------------+ 512
///  | LaneState    | the lane from this peer to the host
///  +--------------+ 896
///  | zero         |
///  +--------------+ 4096
///
/// offset size field     writer
/// 0      128  entry     see peer_entry.hpp
/// 128    768  lanes[2]  host, this peer; see lane_state.hpp; of the host's own page zero
///
/// Channel c belongs to peer c + 1 and has lanes 2c and 2c + 1.
namespace mews::inline MEWS_LAYOUT::layout {

struct alignas(kPageBytes) SeatPage {
  PeerEntry entry;
  LaneState lanes[2];
};

static_assert(sizeof(SeatPage) == kPageBytes && alignof(SeatPage) == kPageBytes);
static_assert(offsetof(SeatPage, entry) == 0 && offsetof(SeatPage, lanes) == 128);

}  // namespace mews::inline MEWS_LAYOUT::layout
