// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/strong_id.hpp"
#include "mews/base/visible.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

/// A process of an arena; 0 is the host.
using PeerId = base::StrongId<struct PeerTag>;
/// A pair of lanes between the host and one plugin.
using ChannelId = base::StrongId<struct ChannelTag>;
/// One direction of a channel.
using LaneId = base::StrongId<struct LaneTag>;
/// A row of the arena's size-class table.
using ClassId = base::StrongId<struct ClassTag>;
/// A slab within its size class.
using SlabIndex = base::StrongId<struct SlabTag>;

inline constexpr PeerId kHostPeer{0};

}  // namespace MEWS_LAYOUT
}  // namespace mews
