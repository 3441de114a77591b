// SPDX-License-Identifier: MIT
#include "crash/word_audit.hpp"

#include <algorithm>

namespace mews_test {
namespace {

using mews::mem::Holding;

std::string text_of(const Holding& holding) {
  return std::to_string(holding.held) + " and has " + std::to_string(holding.in_flight) +
         " in flight";
}

Holding of_peer(std::span<const Holding> holdings, mews::PeerId peer) {
  const auto found = std::find_if(holdings.begin(), holdings.end(),
                                  [&](const Holding& each) { return each.peer == peer; });
  return found != holdings.end() ? *found : Holding{.peer = peer};
}

std::string difference(const Holding& found, const Holding& expected) {
  if (found.held == expected.held && found.in_flight == expected.in_flight) return "";
  return "peer " + std::to_string(found.peer.value()) + " holds " + text_of(found) +
         "; it is to hold " + text_of(expected) + "; ";
}

}  // namespace

std::string faults_of_words(const mews::mem::Arena& arena, std::span<const Holding> holders) {
  std::string problem;
  const auto audit = mews::mem::audit(arena);
  for (const auto& found : audit.peers)
    problem += difference(found, of_peer(holders, found.peer));
  for (const auto& holder : holders) {
    const auto found = of_peer(audit.peers, holder.peer);
    if (found.held + found.in_flight == 0) problem += difference(found, holder);
  }
  for (const auto& row : audit.classes) {
    if (row.bad != 0) problem += std::to_string(row.bad) + " impossible words; ";
  }
  return problem;
}

std::string faults_of_the_dead(const mews::mem::Arena& arena, mews::PeerId dead) {
  using mews::layout::PeerState;
  std::string problem;
  for (std::uint32_t c = 0; c < arena.class_count(); ++c) {
    const auto& view = arena.view(mews::ClassId{c});
    for (std::uint32_t chunk = 0; chunk < view.geometry.chunk_count; ++chunk) {
      if (view.owners[chunk].load(std::memory_order_acquire) != dead.value() + 1) continue;
      problem += "a chunk of class " + std::to_string(c) + " is still the dead peer's home; ";
    }
  }
  const auto seat = arena.peer(dead).seat.load(std::memory_order_acquire);
  const auto state = mews::layout::SeatWord::unpack(seat).state;
  if (state != PeerState::dead && state != PeerState::vacant) {
    problem += "the dead peer's entry says " + std::to_string(seat) + "; ";
  }
  return problem;
}

std::uint32_t slabs_in_flight_on(const mews::mem::Arena& arena, mews::LaneId lane) {
  using mews::layout::TruthWord;
  std::uint32_t count = 0;
  for (std::uint32_t c = 0; c < arena.class_count(); ++c) {
    const auto& view = arena.view(mews::ClassId{c});
    for (std::uint32_t i = 0; i < view.geometry.slab_count; ++i) {
      const auto word = TruthWord::unpack(view.words[i].load(std::memory_order_acquire));
      if (word.phase == mews::layout::Phase::in_flight && word.lane == lane.value()) ++count;
    }
  }
  return count;
}

}  // namespace mews_test
