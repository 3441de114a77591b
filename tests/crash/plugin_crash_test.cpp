// SPDX-License-Identifier: MIT
#include <csignal>

#include "crash/chunk_state.hpp"
#include "crash/every_death.hpp"
#include "crash/lane_audit.hpp"
#include "crash/partners.hpp"
#include "crash/stage.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// A plugin is killed before the k-th change that others can see, for every k until it gets through.
// After each death the host takes back what it had, and looks at every word.
namespace {

using namespace mews_test;

/// A stage, and who works on it besides.
struct Scene {
  explicit Scene(Company company) {
    if (company == Company::alone) return;
    worker.emplace(stage.host());
    REQUIRE(worker->problem() == "");
  }
  [[nodiscard]] std::unique_lock<std::mutex> pause() {
    return worker ? worker->pause() : std::unique_lock<std::mutex>();
  }

  Stage stage;
  std::optional<Worker> worker;
};

// With what is kept still in the host's hands, and everything else written over; then without.
std::string audit(Scene& scene, HostSide& host_side, mews::PeerId dead) {
  const auto paused = scene.pause();
  auto& worker = scene.worker;
  std::string problem;
  std::vector<mews::mem::Holding> holders{
      {.peer = mews::kHostPeer, .held = host_side.slabs_kept()}};
  if (worker) holders.push_back(worker->holding(problem));
  problem += scene.stage.audit({dead}, holders);
  host_side.check_kept();
  host_side.drop_all();
  holders.erase(holders.begin());
  problem += scene.stage.audit({dead}, holders);
  if (worker) (void)worker->holding(problem);
  return problem;
}

/// One life of the plugin and what it leaves behind.
Ending one_death(Scene& scene, const std::string& scenario, std::uint64_t kill_at,
                 VictimLogPage& page) {
  auto& stage = scene.stage;
  {
    const auto paused = scene.pause();
    prepare_chunks(scenario, stage.channel(), stage.arena(),
                   scene.worker ? Company::beside_another : Company::alone);
  }
  auto plugin =
      value_or_throw(stage.host().spawn("victim", victim_command(scenario, kill_at, page)));
  const auto peer = plugin.peer();
  std::string problem;
  bool was_killed = false;
  {
    auto dropped = std::move(plugin);
    HostSide host_side(dropped, *page, stage.arena());
    play_partner(scenario, host_side);
    host_side.receive_all();
    const auto exit = value_or_throw(dropped.wait_exit(kStuck));
    host_side.check_deliveries();
    problem = audit(scene, host_side, peer);
    problem = host_side.problem() + problem;
    was_killed = exit.is_signal && exit.number == SIGKILL;
    if (!was_killed && (exit.is_signal || exit.number != 0)) {
      problem += "; it ended by itself: " + exit.description;
    }
  }
  problem += stage.audit_seat(peer);
  REQUIRE(problem == "");
  return {was_killed, page->steps.load()};
}

void every_death_of(const std::string& scenario, std::uint64_t least, Company company) {
  Scene scene(company);
  auto& worker = scene.worker;
  every_death(scenario + (worker ? ", beside one that works" : ""), least,
              [&](std::uint64_t kill_at, VictimLogPage& page) {
                return one_death(scene, scenario, kill_at, page);
              });
  if (worker) {
    worker->stop();
    CHECK(worker->problem() == "");
    CHECK(worker->rounds() > 0);
  }
}

/// At every step, of which there are at least so many.
void every_death_of(const std::string& scenario, std::uint64_t least) {
  every_death_of(scenario, least, Company::alone);
  every_death_of(scenario, least, Company::beside_another);
}

}  // namespace

TEST_CASE("crash: what a dead plugin had sent and nobody will receive goes back with its handle") {
  Stage stage;
  every_death("sending to nobody", 40, [&](std::uint64_t kill_at, VictimLogPage& page) {
    auto plugin = stage.host().spawn("victim", victim_command("loan_and_send", kill_at, page));
    REQUIRE(plugin);
    const auto peer = plugin->peer();
    const auto exit = plugin->wait_exit(kStuck);
    REQUIRE(exit);
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
    return Ending{exit->is_signal, page->steps.load()};
  });
}
TEST_CASE("crash: a plugin may die at any step of attaching") {
  every_death_of("attach", 5);
}
TEST_CASE("crash: a plugin may die at any step of leaving") {
  every_death_of("detach", 3);
}
TEST_CASE("crash: a plugin may die at any step of leaving a host that waits for room") {
  every_death_of("detach_from_sender", 4);
}
TEST_CASE("crash: a plugin may die at any step of lending and sending") {
  every_death_of("loan_and_send", 40);
}
TEST_CASE("crash: a plugin may die at any step of receiving and releasing") {
  every_death_of("receive_and_release", 38);
}
TEST_CASE("crash: a plugin may die at any step of receiving in batches") {
  every_death_of("receive_in_batches", 40);
}
TEST_CASE("crash: a plugin may die at any step of filling its lane and waiting for room") {
  every_death_of("fill_the_ring", 15);
}
TEST_CASE("crash: a plugin may die at any step of wrapping around its lane") {
  every_death_of("wrap_with_filler", 50);
}
TEST_CASE("crash: a plugin may die at any step of finding rows for runs of slabs") {
  every_death_of("run_of_slabs", 28);
}
TEST_CASE("crash: a plugin may die at any step of falling back on a larger class") {
  every_death_of("larger_class", 24);
}
TEST_CASE("crash: a plugin may die at any step of finding slabs beyond its home") {
  every_death_of("home_chunks", 50);
}
TEST_CASE("crash: a plugin may die at any step of finding slabs that no hint names") {
  every_death_of("home_chunks_without_hints", 50);
}
TEST_CASE("crash: a plugin may die at any step of sending batches") {
  every_death_of("batch", 40);
}
TEST_CASE("crash: a plugin may die at any step of sleeping and being woken") {
  every_death_of("sleep_and_wake", 20);
}
TEST_CASE("crash: a plugin may die at any step of forwarding") {
  every_death_of("forward", 30);
}
TEST_CASE("crash: a plugin may die at any step of waiting in an event loop") {
  every_death_of("event_loop", 18);
}
TEST_CASE("crash: a plugin may die at any step of giving back all that the host waits for") {
  every_death_of("hold_everything", 80);
}
TEST_CASE("crash: a plugin may die at any step of waiting for a slab") {
  every_death_of("wait_for_a_slab", 14);
}
