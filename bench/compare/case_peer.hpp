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
    const auto measured = make();
    // Doubled until a batch fills a tenth of the time; what was before it is not counted.
    auto operations = std::min<std::uint64_t>(100, job.most_messages);
    double batch_ns = measured->run({.operations = operations});
    while (batch_ns < job.seconds * 1e8 && operations < job.most_messages) {
      operations = std::min(operations * 2, job.most_messages);
      batch_ns = measured->run({.operations = operations});
    }
    double all_ns = 0;
    do {
      all_ns += measured->run({.operations = operations});
      outcome.messages += operations;
    } while (all_ns < job.seconds * 1e9 && outcome.messages < job.most_messages);
    outcome.wall_seconds = all_ns * 1e-9;
    outcome.rate = static_cast<double>(outcome.messages) / outcome.wall_seconds;
    outcome.is_complete = true;
  };
  return {.name = std::move(name),
          .rank = 0,
          .refusal = [](const Job&) { return std::string(); },
          .run = run,
          .is_limit = is_limit,
          .clean_up = {}};
}

}  // namespace mews::bench::compare
