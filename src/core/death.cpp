// SPDX-License-Identifier: MIT
#include "death.hpp"

#include "mews/mem/reclaim.hpp"

namespace mews::detail {

// Order matters: first nobody sends to it any more, then what it left behind is freed, then those
// who wait for slabs look again.
void take_back(SessionCore& session, ChannelCore& channel, const Departed& plugin) {
  using layout::PeerState;
  using layout::SeatWord;
  const auto& arena = session.arena();
  const SeatWord left{PeerState::left, plugin.epoch};
  const SeatWord dead{PeerState::dead, plugin.epoch};
  // Relaxed: says nothing of anything else.
  const auto before = arena.peer(plugin.peer).seat.exchange(dead.pack(), std::memory_order_relaxed);
  const bool has_left = before == left.pack();
  channel.end(has_left ? ErrorCode::closed : ErrorCode::peer_died, plugin.how);
  const auto published = channel.published();
  mem::reclaim(arena, {.peer = plugin.peer,
                       .from_it = lane_to_host(channel_of(plugin.peer)),
                       .to_it = lane_to_plugin(channel_of(plugin.peer)),
                       .published = published});
  session.ring_all_freed();
}

void give_up(SessionCore& session, ChannelCore& channel, ErrorCode why) {
  session.end(why);
  channel.end(why, {});
}

}  // namespace mews::detail
