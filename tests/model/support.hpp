// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <iostream>

#include "model/checker.hpp"
#include "support/catch.hpp"

namespace mews::model {

/// Returns the bounds; of the long run (MEWS_LONG=1) one preemption more.
[[nodiscard]] inline Bounds within(Bounds bounds) {
  const char* is_long = std::getenv("MEWS_LONG");
  if (is_long != nullptr && *is_long != 0 && bounds.preemptions < bounds.most_preemptions) {
    ++bounds.preemptions;
  }
  return bounds;
}

/// Prints the coverage.
inline Report explored(const char* name, Scenario& scenario, const Bounds& bounds) {
  auto report = explore(scenario, bounds);
  std::cout << "model: " << name << ", " << bounds.crashes << " crashes: " << report.summary()
            << std::endl;
  return report;
}

inline void require_holds(const char* name, Scenario& scenario, const Bounds& bounds) {
  const auto report = explored(name, scenario, within(bounds));
  INFO(report.summary());
  REQUIRE(report.is_ok);
}

/// The checker must find exactly this fault, and find it again in the schedule that it prints.
inline void require_found(const char* name, Scenario& scenario, const Bounds& bounds,
                          const char* violation) {
  const auto report = explored(name, scenario, bounds);
  INFO(report.summary());
  REQUIRE(report.violation == violation);
  REQUIRE_FALSE(report.trace.empty());
  const auto again = replay(scenario, bounds, report.schedule);
  REQUIRE(again.violation == report.violation);
  REQUIRE(again.schedule == report.schedule);
}

}  // namespace mews::model
