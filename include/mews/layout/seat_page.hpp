// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "mews/layout/call_id.hpp"
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
///  +--------------+ 1024
///  | CallsTaken   | of the host's calls to this peer
///  +--------------+ 1536
///  | CallsTaken   | of this peer's calls to the host
///  +--------------+ 2048
///  | zero         |
///  +--------------+ 4096
///
/// offset size field     writer
/// 0      128  entry     see peer_entry.hpp
/// 128    768  lanes[2]  host, this peer; see lane_state.hpp; of the host's own page zero
/// 1024   1024 taken[2]  this peer, host; see call_id.hpp; likewise
///
/// Channel c belongs to peer c + 1 and has lanes 2c and 2c + 1.
namespace mews::inline MEWS_LAYOUT::layout {

inline constexpr std::size_t kTakenOffset = 1024;

struct alignas(kPageBytes) SeatPage {
  PeerEntry entry;
  LaneState lanes[2];
  alignas(kTakenOffset) CallsTaken taken[2];
};

static_assert(sizeof(SeatPage) == kPageBytes && alignof(SeatPage) == kPageBytes);
static_assert(offsetof(SeatPage, entry) == 0 && offsetof(SeatPage, lanes) == 128);
static_assert(offsetof(SeatPage, taken) == kTakenOffset && sizeof(CallsTaken) == 512);

}  // namespace mews::inline MEWS_LAYOUT::layout
