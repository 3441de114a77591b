// SPDX-License-Identifier: MIT
#include <csignal>
#include <cstdio>

#include "crash/chunk_state.hpp"
#include "crash/kill_series.hpp"
#include "crash/lane_audit.hpp"
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

std::unique_lock<std::mutex> pause(Worker* worker) {
  return worker != nullptr ? worker->pause() : std::unique_lock<std::mutex>();
}

// With what is kept still in the host's hands, and everything else written over; then without.
void audit(Stage& stage, Worker* worker, Encounter& meeting, mews::PeerId dead,
           std::string& problem) {
  const auto paused = pause(worker);
  std::vector<mews::mem::Holding> holders{{.peer = mews::kHostPeer, .held = meeting.slabs_kept()}};
  if (worker != nullptr) holders.push_back(worker->holding(problem));
  problem += stage.audit({dead}, holders);
  meeting.check_kept();
  meeting.drop_all();
  holders.erase(holders.begin());
  problem += stage.audit({dead}, holders);
  if (worker != nullptr) (void)worker->holding(problem);
}

/// One life of the plugin and what it leaves behind.
Outcome one_death(Stage& stage, Worker* worker, WitnessPage& page, const std::string& scenario,
                  std::uint64_t kill_at) {
  page.reset();
  {
    const auto paused = pause(worker);
    prepare_chunks(scenario, stage.channel(), stage.arena(),
                   worker == nullptr ? Company::alone : Company::beside_another);
  }
  auto plugin = stage.host().spawn("victim", victim_command(scenario, kill_at, page));
  if (!plugin) return {.problem = "spawn: " + plugin.error().message()};
  const auto peer = plugin->peer();
  Outcome outcome;
  {
    auto dropped = std::move(*plugin);
    Encounter meeting(dropped, *page, stage.arena());
    play_partner(scenario, meeting);
    meeting.receive_all();
    const auto exit = dropped.wait_exit(kStuck);
    if (!exit) return {.problem = "wait_exit: " + exit.error().message()};
    meeting.check_deliveries();
    audit(stage, worker, meeting, peer, outcome.problem);
    outcome.problem = meeting.problem() + outcome.problem;
    outcome.was_killed = exit->is_signal && exit->number == SIGKILL;
    if (!outcome.was_killed && (exit->is_signal || exit->number != 0)) {
      outcome.problem += "; it ended by itself: " + exit->description;
    }
  }
  outcome.problem += stage.audit_seat(peer);
  return outcome;
}

void every_death(const std::string& scenario, std::uint64_t least, Company company) {
  Stage stage;
  WitnessPage page;
  std::optional<Worker> worker;
  if (company == Company::beside_another) {
    worker.emplace(stage.host());
    REQUIRE(worker->problem() == "");
  }
  KillSeries series;
  while (!series.is_over()) {
    const auto kill_at = series.next();
    const auto outcome = one_death(stage, worker ? &*worker : nullptr, page, scenario, kill_at);
    INFO("killed before step " << kill_at << " of " << scenario);
    REQUIRE(outcome.problem == "");
    series.note(outcome.was_killed, page->steps.load());
  }
  if (worker) {
    worker->stop();
    CHECK(worker->problem() == "");
    CHECK(worker->rounds() > 0);
  }
  std::printf("%s: %llu crash points%s\n", scenario.c_str(),
              static_cast<unsigned long long>(series.killed()),
              worker ? ", beside one that works" : "");
  CHECK(series.killed() >= least);
}

/// At every step, of which there are at least so many.
void every_death(const std::string& scenario, std::uint64_t least) {
  every_death(scenario, least, Company::alone);
  every_death(scenario, least, Company::beside_another);
}

}  // namespace

TEST_CASE("crash: what a dead plugin had sent and nobody will receive goes back with its handle") {
  Stage stage;
  WitnessPage page;
  KillSeries series;
  while (!series.is_over()) {
    page.reset();
    const auto kill_at = series.next();
    auto plugin = stage.host().spawn("victim", victim_command("loan_and_send", kill_at, page));
    REQUIRE(plugin);
    const auto peer = plugin->peer();
    const auto exit = plugin->wait_exit(kStuck);
    REQUIRE(exit);
    INFO("killed before step " << kill_at);
    // Until then all of it lies there: what was published, and nothing that was not.
    const Range published{page->sent.load(), page->begun.load()};
    REQUIRE(faults_of_lanes(stage.arena(), peer, {0, 0}, published) == "");
    const auto walk = walk_lane(stage.arena(), lane_from(peer));
    REQUIRE(walk.slabs_in_flight == walk.slabs);
    std::vector<mews::mem::Holding> holders;
    if (walk.slabs > 0) holders.push_back({.peer = peer, .in_flight = walk.slabs});
    REQUIRE(stage.audit({peer}, holders) == "");
    { const auto dropped = std::move(*plugin); }
    REQUIRE(stage.audit({peer}) == "");
    REQUIRE(stage.audit_seat(peer) == "");
    series.note(exit->is_signal, page->steps.load());
  }
  CHECK(series.killed() >= 40);
}
TEST_CASE("crash: a plugin may die at any step of attaching") {
  every_death("attach", 5);
}
TEST_CASE("crash: a plugin may die at any step of leaving") {
  every_death("detach", 3);
}
TEST_CASE("crash: a plugin may die at any step of lending and sending") {
  every_death("loan_and_send", 40);
}
TEST_CASE("crash: a plugin may die at any step of receiving and releasing") {
  every_death("receive_and_release", 38);
}
TEST_CASE("crash: a plugin may die at any step of receiving in batches") {
  every_death("receive_in_batches", 40);
}
TEST_CASE("crash: a plugin may die at any step of filling its lane and waiting for room") {
  every_death("fill_the_ring", 15);
}
TEST_CASE("crash: a plugin may die at any step of wrapping around its lane") {
  every_death("wrap_with_filler", 50);
}
TEST_CASE("crash: a plugin may die at any step of finding rows for runs of slabs") {
  every_death("run_of_slabs", 28);
}
TEST_CASE("crash: a plugin may die at any step of falling back on a larger class") {
  every_death("larger_class", 24);
}
TEST_CASE("crash: a plugin may die at any step of finding slabs beyond its home") {
  every_death("home_chunks", 50);
}
TEST_CASE("crash: a plugin may die at any step of finding slabs that no hint names") {
  every_death("home_chunks_without_hints", 50);
}
TEST_CASE("crash: a plugin may die at any step of sending batches") {
  every_death("batch", 40);
}
TEST_CASE("crash: a plugin may die at any step of sleeping and being woken") {
  every_death("sleep_and_wake", 20);
}
TEST_CASE("crash: a plugin may die at any step of forwarding") {
  every_death("forward", 30);
}
TEST_CASE("crash: a plugin may die at any step of waiting in an event loop") {
  every_death("event_loop", 18);
}
TEST_CASE("crash: a plugin may die at any step of giving back all that the host waits for") {
  every_death("hold_everything", 80);
}
TEST_CASE("crash: a plugin may die at any step of waiting for a slab") {
  every_death("wait_for_a_slab", 14);
}
