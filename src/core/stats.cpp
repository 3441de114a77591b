// SPDX-License-Identifier: MIT
#include "stats.hpp"

#include <algorithm>

#include "mews/mem/census.hpp"

namespace mews::inline MEWS_LAYOUT {

bool Stats::is_all_free() const noexcept {
  return std::all_of(classes.begin(), classes.end(), [](const Class& row) {
    return row.held == 0 && row.in_flight == 0 && row.bad == 0;
  });
}

namespace detail {

Stats stats_of(const PeerContext& session) {
  const auto& arena = session.arena();
  Stats stats;
  stats.arena_virtual_bytes = arena.geometry().arena_bytes;
  stats.arena_resident_bytes = arena.file().resident_bytes().value_or(0);
  const auto audit = mem::audit(arena);
  for (const auto& row : audit.classes) {
    stats.classes.push_back({.slab_bytes = row.slab_bytes,
                             .slab_count = row.slabs,
                             .held = row.held,
                             .in_flight = row.in_flight,
                             .bad = row.bad,
                             .backed_bytes = row.backed_bytes});
  }
  for (const auto& peer : audit.peers) {
    stats.holders.push_back(
        {.name = session.peer_name(peer.peer), .held = peer.held, .in_flight = peer.in_flight});
  }
  for (std::uint32_t i = 1; i < arena.seats_used(); ++i) {
    if (session.is_attached(PeerId{i})) ++stats.plugins;
  }
  return stats;
}

}  // namespace detail
}  // namespace mews::inline MEWS_LAYOUT
