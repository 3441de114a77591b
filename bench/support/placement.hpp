// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "support/case.hpp"

namespace mews::bench {

/// Where the two processors are to one another. On a virtual machine the host moves them every few
/// seconds, and a cache line then costs about 1 : 2 : 10.
enum class Placement : std::uint8_t { siblings, same_l3, other_l3 };
inline constexpr std::size_t kPlacements = 3;
inline constexpr std::array<std::string_view, kPlacements> kPlacementNames{"SMT", "same L3",
                                                                           "other L3"};

/// A bare cache-line ping-pong tells the placement: round trips cluster near 28, 50 to 65 and 320
/// ns on one machine, near 47, 107 and 420 ns on another. There are no cuts for all machines: those
/// whose siblings are slower than 45 ns see them counted as cores of one L3.
inline constexpr double kSiblingsBelowNs = 45;
inline constexpr double kOtherL3AboveNs = 200;

struct Reading {
  double ping_pong_ns = 0;
  Placement placement = Placement::same_l3;
};

class Prober {
 public:
  Prober();
  /// Takes about a third of a millisecond.
  [[nodiscard]] Reading read();

 private:
  CasePtr ping_pong_;
};

/// The program's only one; its process is forked at the first use.
[[nodiscard]] Prober& prober();

/// What a pair of readings around something says of it: nothing, unless they agree.
[[nodiscard]] std::optional<Placement> agreed(const Reading& before, const Reading& after);

}  // namespace mews::bench
