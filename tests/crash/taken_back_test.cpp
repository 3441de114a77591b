// SPDX-License-Identifier: MIT
#include <array>
#include <thread>

#include "crash/every_death.hpp"
#include "crash/kill_at_step.hpp"
#include "crash/stage.hpp"
#include "crash/table.hpp"
#include "mews/os/process.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// The host's thread is in the middle of a call with a plugin when that one dies, and is taken back
// by the host's watcher before the thread takes its next step.
namespace {

using namespace mews_test;

void send_all_kinds(HostSide& host_side) {
  for (const auto size : {kSmall, kInline, kLarge, kRun}) {
    if (!host_side.send(size)) return;
  }
}

/// One call after the other, and its death at the `kill_at`-th step of all these.
Ending one_death(Stage& stage, VictimLogPage& page, std::string_view scenario,
                 void (*call)(HostSide&), std::uint64_t kill_at) {
  auto plugin = value_or_throw(stage.host().spawn("victim", victim_command(scenario, 0, page)));
  const auto peer = plugin.peer();
  std::string problem;
  Ending ending{};
  {
    auto dropped = std::move(plugin);
    HostSide host_side(dropped, *page, stage.arena());
    host_side.wait_until_it_sleeps_for_a_message();
    const auto fd = value_or_throw(mews::os::open_pidfd(dropped.pid()));
    KillAtStep kill(fd.get(), kill_at, [&] {
      const mews::Deadline deadline(kStuck);
      while (!dropped.exit() && !deadline.has_passed())
        std::this_thread::yield();
    });
    call(host_side);
    ending = kill.stop();
    if (!ending.was_killed) (void)dropped.kill(SIGKILL);
    host_side.receive_all();
    if (!dropped.wait_exit(kStuck)) problem += "it is never gone; ";
    host_side.check_deliveries();
    const std::array<mews::mem::Holding, 1> host{
        {{.peer = mews::kHostPeer, .held = host_side.slabs_kept()}}};
    problem += stage.audit({peer}, host);
    host_side.check_kept();
    problem += host_side.problem();
  }
  problem += stage.audit({peer}) + stage.audit_seat(peer);
  REQUIRE(problem == "");
  return ending;
}

void every_death_during(void (*call)(HostSide&), const std::string& scenario, std::uint64_t least) {
  Stage stage;
  every_death("the host's calls with " + scenario, least,
              [&](std::uint64_t kill_at, VictimLogPage& page) {
                return one_death(stage, page, scenario, call, kill_at);
              });
}

}  // namespace

TEST_CASE("crash: a plugin may be taken back at any step of the host's sending to it") {
  every_death_during(send_all_kinds, "receive_and_release", 30);
}
TEST_CASE("crash: a plugin may be taken back at any step of the host's receiving from it") {
  const auto receive_some = [](HostSide& host_side) {
    for (int i = 0; i < 3; ++i)
      (void)host_side.receive();
    host_side.drop_all();
  };
  every_death_during(receive_some, "hold_some", 20);
}
