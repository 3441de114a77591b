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

void send_all_kinds(Encounter& meeting) {
  for (const auto size : {kSmall, kInline, kLarge, kRun}) {
    if (!meeting.send(size)) return;
  }
}

/// One call after the other, and its death at the `kill_at`-th step of all these.
Ending one_death(Stage& stage, WitnessPage& page, std::string_view scenario,
                 void (*call)(Encounter&), std::uint64_t kill_at) {
  auto plugin = value_or_throw(stage.host().spawn("victim", victim_command(scenario, 0, page)));
  const auto peer = plugin.peer();
  std::string problem;
  Ending ending{};
  {
    auto dropped = std::move(plugin);
    Encounter meeting(dropped, *page, stage.arena());
    meeting.wait_until_it_sleeps_for_a_message();
    const auto fd = value_or_throw(mews::os::open_pidfd(dropped.pid()));
    KillAtStep kill(fd.get(), kill_at, [&] {
      const mews::Deadline deadline(kStuck);
      while (!dropped.exit() && !deadline.has_passed())
        std::this_thread::yield();
    });
    call(meeting);
    ending = kill.stop();
    if (!ending.was_killed) (void)dropped.kill(SIGKILL);
    meeting.receive_all();
    if (!dropped.wait_exit(kStuck)) problem += "it is never gone; ";
    meeting.check_deliveries();
    const std::array<mews::mem::Holding, 1> host{
        {{.peer = mews::kHostPeer, .held = meeting.slabs_kept()}}};
    problem += stage.audit({peer}, host);
    meeting.check_kept();
    problem += meeting.problem();
  }
  problem += stage.audit({peer}) + stage.audit_seat(peer);
  REQUIRE(problem == "");
  return ending;
}

void every_death_during(void (*call)(Encounter&), const std::string& scenario,
                        std::uint64_t least) {
  Stage stage;
  every_death("the host's calls with " + scenario, least,
              [&](std::uint64_t kill_at, WitnessPage& page) {
                return one_death(stage, page, scenario, call, kill_at);
              });
}

}  // namespace

TEST_CASE("crash: a plugin may be taken back at any step of the host's sending to it") {
  every_death_during(send_all_kinds, "receive_and_release", 30);
}
TEST_CASE("crash: a plugin may be taken back at any step of the host's receiving from it") {
  const auto receive_some = [](Encounter& meeting) {
    for (int i = 0; i < 3; ++i)
      (void)meeting.receive();
    meeting.drop_all();
  };
  every_death_during(receive_some, "hold_some", 20);
}
