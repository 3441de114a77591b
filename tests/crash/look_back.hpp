// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include "crash/bystander.hpp"
#include "crash/survivor.hpp"
#include "crash/victim_log.hpp"
#include "mews/mem/arena.hpp"

namespace mews_test {

/// Those that outlive a host, and their seats.
struct Survivors {
  VictimLog& log;
  Survivor& survivor;
  mews::PeerId survivor_seat;
  Bystander& bystander;
  std::optional<mews::PeerId> bystander_seat;  ///< nothing: there is none
};

/// What is wrong with an arena whose host is dead and whose plugins have been told so. Nobody
/// repairs it; but every word is possible, the survivors hold what they say, nothing published lies
/// unread in a lane to them, and each slab that is free can be lent and written to without any of
/// them noticing.
[[nodiscard]] std::string look_back(const mews::mem::Arena& arena, Survivors& survivors);

}  // namespace mews_test
