// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string>

#include "mews/mem/arena.hpp"
#include "mews/mem/census.hpp"

/// What is wrong with the words of an arena at rest, as sentences; empty when nothing is.
namespace mews_test {

/// Every slab is free, or one of `holders` has it: each as many as it says, no more and no fewer.
[[nodiscard]] std::string faults_of_words(const mews::mem::Arena& arena,
                                          std::span<const mews::mem::Holding> holders);

/// A peer that is known dead has no chunk for its home, and its entry says dead or vacant.
[[nodiscard]] std::string faults_of_the_dead(const mews::mem::Arena& arena, mews::PeerId dead);

/// Slabs that have been sent, or half sent, on that lane.
[[nodiscard]] std::uint32_t slabs_in_flight_on(const mews::mem::Arena& arena, mews::LaneId lane);

}  // namespace mews_test
