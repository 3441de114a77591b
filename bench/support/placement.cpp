// SPDX-License-Identifier: MIT
#include "support/placement.hpp"

#include <vector>

#include "support/yardsticks.hpp"

namespace mews::bench {

Prober::Prober() : ping_pong_(ping_pong()) {}

Reading Prober::read() {
  constexpr std::uint64_t kRoundTrips = 200;
  constexpr int kBursts = 5;
  std::vector<double> bursts;
  ping_pong_->run({.operations = kRoundTrips});
  for (int i = 0; i < kBursts; ++i) {
    bursts.push_back(ping_pong_->run({.operations = kRoundTrips}) / kRoundTrips);
  }
  // The fastest tells where the cores are; the others may have been interrupted.
  const auto fastest_ns = percentile(bursts, 0);
  return {.ping_pong_ns = percentile(bursts, 0.5),
          .placement = fastest_ns < kSiblingsBelowNs  ? Placement::siblings
                       : fastest_ns < kOtherL3AboveNs ? Placement::same_l3
                                                      : Placement::other_l3};
}

Prober& prober() {
  static Prober only;
  return only;
}

std::optional<Placement> agreed(const Reading& before, const Reading& after) {
  if (before.placement != after.placement) return std::nullopt;
  return before.placement;
}

}  // namespace mews::bench
