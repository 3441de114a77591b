// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "compare/client_side.hpp"
#include "compare/peers.hpp"
#include "support/case.hpp"

namespace mews::bench::compare {

/// A row that is no transport: a case of bench/support, run for as long as the job says.
inline Peer case_peer(std::string name, std::function<CasePtr()> make, bool is_limit = false) {
  const auto run = [make = std::move(make)](const Job& job, Outcome& outcome) {
    constexpr std::uint64_t kFew = 100;
    const auto measured = make();
    const auto few = std::min(kFew, job.most_messages);
    measured->run({.operations = few});  // first touches, and an idea of how long it takes
    const auto each_ns = measured->run({.operations = few}) / static_cast<double>(few);
    const auto enough = static_cast<std::uint64_t>(job.seconds * 1e9 / each_ns) + 1;
    const auto operations = std::min(enough, job.most_messages);
    outcome.wall_seconds = measured->run({.operations = operations}) * 1e-9;
    outcome.messages = operations;
    outcome.rate = static_cast<double>(operations) / outcome.wall_seconds;
    outcome.is_complete = true;
  };
  return {.name = std::move(name),
          .rank = 0,
          .refusal = [](const Job&) { return std::string(); },
          .run = run,
          .is_limit = is_limit};
}

}  // namespace mews::bench::compare
