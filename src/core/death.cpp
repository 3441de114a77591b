// SPDX-License-Identifier: MIT
#include "death.hpp"

#include "mews/mem/reclaim.hpp"

namespace mews::detail {

// Order matters: first nobody sends to it any more, then what it left behind is freed, then those
// who wait for slabs look again.
void take_back(SessionCore& session, ChannelCore& channel, PeerId plugin, const std::string& how) {
  const auto& arena = session.arena();
  const auto before = arena.peer(plugin).state.exchange(
      static_cast<std::uint32_t>(layout::PeerState::dead), std::memory_order_relaxed);
  const bool has_left = before == static_cast<std::uint32_t>(layout::PeerState::left);
  channel.end(has_left ? ErrorCode::closed : ErrorCode::peer_died, how);
  const auto published = channel.published();
  mem::reclaim(arena, {.peer = plugin,
                       .from_it = lane_to_host(channel_of(plugin)),
                       .to_it = lane_to_plugin(channel_of(plugin)),
                       .published = published});
  session.ring_all_freed();
}

void give_up(SessionCore& session, ChannelCore& channel) {
  session.end(ErrorCode::host_died);
  channel.end(ErrorCode::host_died, {});
}

}  // namespace mews::detail
