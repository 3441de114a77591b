// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <cstdint>
#include <string>
#include <utility>

#include "crash/every_death.hpp"
#include "crash/stage.hpp"
#include "crash/victim_log.hpp"
#include "mews/mews.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

/// A host with a link to a plugin that dies at each of its steps.
namespace mews_test {

/// Plays the scenario with a plugin that is killed at each step in turn. `play` is the host's part;
/// it gets a `Part` of the link and the victim's log, which notes in `problem` what goes wrong.
template <class Part, class Play>
void every_death_of(const std::string& scenario, std::uint32_t ring_cells, std::uint64_t least,
                    Play&& play) {
  Stage stage(mews::Watcher::thread, ring_cells);
  every_death(scenario, least, [&](std::uint64_t kill_at, VictimLogPage& page) {
    auto plugin =
        value_or_throw(stage.host().spawn("victim", victim_command(scenario, kill_at, page)));
    const auto peer = plugin.peer();
    std::string problem;
    bool was_killed = false;
    {
      auto dropped = std::move(plugin);
      {
        Part part{value_or_throw(mews::Link::over(std::move(dropped.channel()))), *page};
        play(part);
        problem = part.problem;
      }
      const auto exit = value_or_throw(dropped.wait_exit(kStuck));
      was_killed = exit.is_signal && exit.number == SIGKILL;
      if (!was_killed && (exit.is_signal || exit.number != 0)) {
        problem += "; it ended by itself: " + exit.description + ", " + page->complaint;
      }
    }
    problem += stage.audit({peer});
    problem += stage.audit_seat(peer);
    REQUIRE(problem == "");
    return Ending{was_killed, page->steps.load()};
  });
}

}  // namespace mews_test
