// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/case.hpp"

namespace mews::bench {

/// How the two ends of a lane wait for each other.
enum class Wake : std::uint8_t {
  never,  ///< both look again until it is their turn; nobody can sleep
  light,  ///< look for a while, then sleep; a ring after each publication, asymmetric fence
  full,   ///< the same with a full fence at each publication
};

struct StreamShape {
  std::size_t bytes = 8;  ///< inline payload, all of it written and read
  unsigned batch = 1;     ///< records per publication
  Wake wake = Wake::never;
};

/// One way through a lane; an operation is one batch.
[[nodiscard]] CasePtr lane_stream(const StreamShape& shape);

/// One thread: published, then received.
[[nodiscard]] CasePtr lane_alone(std::size_t bytes);

/// There and back over two lanes, no wake protocol.
[[nodiscard]] CasePtr lane_round_trip(std::size_t bytes);

}  // namespace mews::bench
