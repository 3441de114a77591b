// SPDX-License-Identifier: MIT
#include "crash/look_back.hpp"

#include <algorithm>

#include "crash/lane_audit.hpp"
#include "crash/lending.hpp"
#include "mews/mem/census.hpp"

namespace mews_test {
namespace {

std::uint32_t held_by(const mews::mem::Audit& audit, mews::PeerId peer) {
  for (const auto& holding : audit.peers) {
    if (holding.peer == peer) return holding.held;
  }
  return 0;
}

std::string faults_of_holder(const mews::mem::Audit& audit, mews::PeerId peer,
                             std::uint32_t slabs) {
  const auto held = held_by(audit, peer);
  if (held == slabs) return "";
  return "peer " + std::to_string(peer.value()) + " holds " + std::to_string(held) +
         " slabs; it has " + std::to_string(slabs) + "; ";
}

std::size_t free_in(const mews::mem::Audit& audit, std::string& problem) {
  std::size_t taken = 0;
  for (const auto& row : audit.classes) {
    taken += row.held + row.in_flight;
    if (row.bad != 0) problem += std::to_string(row.bad) + " impossible words; ";
  }
  return whole_slab_count() - taken;
}

}  // namespace

std::string look_back(const mews::mem::Arena& arena, Survivors& survivors) {
  auto& [log, survivor, seat, bystander, other] = survivors;
  // What the host had taken and not given back lies there yet; it may have noted one fewer.
  const auto sent = survivor.sent();
  const auto taken = std::min(sent, log.received.load() + 1);
  auto problem = faults_of_lanes(arena, seat, {0, 0}, {.least = sent - taken, .most = sent});
  const auto audit = mews::mem::audit(arena);
  problem += faults_of_holder(audit, seat, survivor.slabs_kept());
  if (other) {
    // Its last answers are read, and their cells perhaps not given back.
    const auto rounds = bystander.rounds();
    problem += faults_of_lanes(arena, *other, {.least = 0, .most = rounds},
                               {.least = 0, .most = rounds + 1});
    problem += faults_of_holder(audit, *other, HeldSlabs::kSlabs);
  }
  const auto free = free_in(audit, problem);
  {
    auto loans = lend_everything(survivor.channel());
    if (loans.size() != free) {
      problem += std::to_string(loans.size()) + " slabs can be lent of " + std::to_string(free) +
                 " that are free; ";
    }
    overwrite(loans);
  }
  problem += survivor.check_kept();
  if (other) problem += bystander.verdict();
  return problem;
}

}  // namespace mews_test
