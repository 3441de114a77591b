// SPDX-License-Identifier: MIT
#include <csignal>
#include <cstdio>

#include "crash/partners.hpp"
#include "crash/stage.hpp"
#include "support/catch.hpp"

// A plugin is killed before the k-th change that others can see, for every k until it gets through.
// After each death the host takes back what it had, and looks at every word.
namespace {

using namespace mews_test;

struct Outcome {
  bool was_killed = false;
  std::string problem;
};

/// One life of the plugin and what it leaves behind.
Outcome one_death(Stage& stage, Worker* worker, WitnessPage& page, const std::string& scenario,
                  std::uint64_t kill_at) {
  page.reset();
  {
    const auto pause = worker != nullptr ? worker->pause() : std::unique_lock<std::mutex>();
    prepare(scenario, stage.channel(), stage.arena(), worker == nullptr);
  }
  auto plugin = stage.host().spawn("victim", victim_command(scenario, kill_at, page));
  if (!plugin) return {.problem = "spawn: " + plugin.error().message()};
  Encounter meeting(*plugin, page.get(), stage.arena());
  play_partner(scenario, meeting);
  meeting.receive_all();
  const auto exit = plugin->wait_exit(kStuck);
  if (!exit) return {.problem = "wait_exit: " + exit.error().message()};
  meeting.check_deliveries();
  meeting.drop_all();
  Outcome outcome{.was_killed = exit->is_signal && exit->number == SIGKILL,
                  .problem = meeting.problem()};
  if (!outcome.was_killed && (exit->is_signal || exit->number != 0)) {
    outcome.problem += "; it ended by itself: " + exit->description;
  }
  const auto pause = worker != nullptr ? worker->pause() : std::unique_lock<std::mutex>();
  outcome.problem += stage.audit({plugin->peer()});
  return outcome;
}

void every_death(const std::string& scenario, bool has_worker) {
  Stage stage;
  WitnessPage page;
  std::optional<Worker> worker;
  if (has_worker) worker.emplace(stage.host());
  std::uint64_t kill_at = 0;
  for (bool was_killed = true; was_killed;) {
    const auto outcome = one_death(stage, worker ? &*worker : nullptr, page, scenario, ++kill_at);
    INFO("killed before step " << kill_at << " of " << scenario);
    REQUIRE(outcome.problem == "");
    was_killed = outcome.was_killed;
  }
  if (worker) {
    worker->stop();
    CHECK(worker->problem() == "");
    CHECK(worker->rounds() > 0);
  }
  std::printf("%s: %llu crash points%s\n", scenario.c_str(),
              static_cast<unsigned long long>(kill_at - 1),
              has_worker ? ", beside one that works" : "");
  CHECK(kill_at > 1);
}

void every_death(const std::string& scenario) {
  every_death(scenario, false);
  every_death(scenario, true);
}

}  // namespace

TEST_CASE("crash: what a dead plugin had sent and nobody will receive goes back with its handle") {
  Stage stage;
  WitnessPage page;
  for (std::uint64_t kill_at = 1;; ++kill_at) {
    page.reset();
    auto plugin = stage.host().spawn("victim", victim_command("loan_and_send", kill_at, page));
    REQUIRE(plugin);
    const auto peer = plugin->peer();
    const auto exit = plugin->wait_exit(kStuck);
    REQUIRE(exit);
    { const auto dropped = std::move(*plugin); }
    INFO("killed before step " << kill_at);
    REQUIRE(stage.audit({peer}) == "");
    if (!exit->is_signal) break;
  }
}
TEST_CASE("crash: a plugin may die at any step of attaching") {
  every_death("attach");
}
TEST_CASE("crash: a plugin may die at any step of leaving") {
  every_death("detach");
}
TEST_CASE("crash: a plugin may die at any step of lending and sending") {
  every_death("loan_and_send");
}
TEST_CASE("crash: a plugin may die at any step of receiving and releasing") {
  every_death("receive_and_release");
}
TEST_CASE("crash: a plugin may die at any step of receiving in batches") {
  every_death("receive_in_batches");
}
TEST_CASE("crash: a plugin may die at any step of filling its lane and waiting for room") {
  every_death("fill_the_ring");
}
TEST_CASE("crash: a plugin may die at any step of wrapping around its lane") {
  every_death("wrap_with_filler");
}
TEST_CASE("crash: a plugin may die at any step of falling back on a larger class") {
  every_death("larger_class");
}
TEST_CASE("crash: a plugin may die at any step of finding slabs beyond its home") {
  every_death("home_chunks");
}
TEST_CASE("crash: a plugin may die at any step of finding slabs that no hint names") {
  every_death("home_chunks_without_hints");
}
TEST_CASE("crash: a plugin may die at any step of sending batches") {
  every_death("batch");
}
TEST_CASE("crash: a plugin may die at any step of sleeping and being woken") {
  every_death("sleep_and_wake");
}
TEST_CASE("crash: a plugin may die at any step of forwarding") {
  every_death("forward");
}
TEST_CASE("crash: a plugin may die at any step of waiting in an event loop") {
  every_death("event_loop");
}
TEST_CASE("crash: a plugin may die at any step of giving back all that the host waits for") {
  every_death("hold_everything");
}
TEST_CASE("crash: a plugin may die at any step of waiting for a slab") {
  every_death("wait_for_a_slab");
}
