// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "mews/mem/arena.hpp"

/// What the lanes of a channel say, read from the arena alone, and what is wrong with it.
namespace mews_test {

[[nodiscard]] constexpr mews::LaneId lane_to(mews::PeerId plugin) noexcept {
  return mews::LaneId{2 * (plugin.value() - 1)};
}
[[nodiscard]] constexpr mews::LaneId lane_from(mews::PeerId plugin) noexcept {
  return mews::LaneId{2 * (plugin.value() - 1) + 1};
}
/// Either bit of a bell: somebody sleeps there.
[[nodiscard]] inline bool is_armed(const mews::base::Atomic<std::uint32_t>& bell) {
  return (bell.load(std::memory_order_acquire) & 3) != 0;
}

/// The records from a lane's head on, as far as they are published.
struct LaneWalk {
  std::uint64_t messages = 0;
  std::uint32_t slabs = 0;            ///< that these messages name
  std::uint32_t slabs_in_flight = 0;  ///< of these, those that are in flight on this lane
  std::string problem;                ///< a record that no producer writes, a head beyond them all
};
[[nodiscard]] LaneWalk walk_lane(const mews::mem::Arena& arena, mews::LaneId lane);

/// How many messages may lie in a lane, unread or read and their cells not yet given back.
struct Range {
  std::uint64_t least;
  std::uint64_t most;
};
/// Both lanes of a channel of which one end or both are dead: marks, heads, roles, messages.
[[nodiscard]] std::string faults_of_lanes(const mews::mem::Arena& arena, mews::PeerId plugin,
                                          Range to_it, Range from_it);

/// The seat has been given out anew, to one who has done nothing yet: nothing is left of the one
/// before, and the epoch is the next.
[[nodiscard]] std::string faults_of_fresh_seat(const mews::mem::Arena& arena, mews::PeerId plugin,
                                               std::uint32_t epoch_before);

}  // namespace mews_test
