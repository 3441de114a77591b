// SPDX-License-Identifier: MIT
#include "death.hpp"

#include "mews/mem/reclaim.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

// Order matters: first nobody sends to it any more, then what it left behind is freed, then those
// who wait for slabs look again.
void recover_plugin(PeerContext& context, ChannelCore& channel, std::uint32_t epoch,
                    const std::string& how) {
  using layout::PeerState;
  using layout::SeatWord;
  const auto& arena = context.arena();
  const auto plugin = channel.other();
  const SeatWord left{PeerState::left, epoch};
  const SeatWord dead{PeerState::dead, epoch};
  // Relaxed: says nothing of anything else.
  const auto before = arena.peer(plugin).seat.exchange(dead.pack(), std::memory_order_relaxed);
  const bool has_left = before == left.pack();
  channel.end(has_left ? ErrorCode::closed : ErrorCode::peer_died, how);
  const auto published = channel.published();
  mem::reclaim(arena, {.peer = plugin,
                       .from_it = lane_to_host(channel_of(plugin)),
                       .to_it = lane_to_plugin(channel_of(plugin)),
                       .published = published});
  context.ring_all_freed();
}

void on_host_death(PeerContext& context, ChannelCore& channel, ErrorCode why) {
  context.end(why);
  channel.end(why, {});
}

}  // namespace mews::inline MEWS_LAYOUT::detail
