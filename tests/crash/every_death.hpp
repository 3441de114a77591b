// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "crash/kill_series.hpp"
#include "crash/victim_log.hpp"
#include "support/catch.hpp"

namespace mews_test {

/// Plays one life after the other, each to be ended before its own step of `what`, and requires
/// that there were at least so many steps. `life(kill_at, page)` plays one, with a page that is as
/// new, and says how it ended; what is wrong, it requires itself.
template <class Life>
void every_death(const std::string& what, std::uint64_t least, Life&& life) {
  VictimLogPage page;
  KillSeries series;
  while (!series.is_over()) {
    page.reset();
    const auto kill_at = series.next();
    INFO("killed before step " << kill_at << " of " << what);
    series.note(life(kill_at, page));
  }
  std::printf("%s: %llu crash points\n", what.c_str(),
              static_cast<unsigned long long>(series.killed()));
  CHECK(series.killed() >= least);
}

}  // namespace mews_test
