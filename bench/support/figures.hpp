// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/series.hpp"

namespace mews::bench {

enum class Goal : std::uint8_t { none, at_most, at_least };

/// One line of the table: a figure, held against a yardstick that was measured in the same turns.
struct Figure {
  std::string what;
  std::string yardstick;
  std::size_t case_index = 0;  ///< within its group
  std::size_t yardstick_index = 0;
  Goal goal = Goal::none;
  double target = 0;
  bool is_speed = false;  ///< the ratio says how many times faster, not how many times the time
};

/// Cases that take turns, and what is to be said of them.
struct Group {
  std::vector<CasePtr> cases;
  std::vector<Figure> figures;
};

/// Runs all groups round-robin for about `seconds` and prints a table for each placement of the
/// two processors that was seen. Whether every goal was reached in the most frequent placement.
bool run_and_print(std::vector<Group> groups, double seconds);

}  // namespace mews::bench
