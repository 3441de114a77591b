// SPDX-License-Identifier: MIT
#include <array>
#include <cstdio>
#include <thread>

#include "crash/kill_at_step.hpp"
#include "crash/kill_series.hpp"
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

/// One call after the other, and its death at the `at`-th step of all these; what is wrong after.
std::string one_death(Stage& stage, WitnessPage& page, std::string_view scenario,
                      void (*call)(Encounter&), KillSeries& series) {
  page.reset();
  auto plugin = value_or_throw(stage.host().spawn("victim", victim_command(scenario, 0, page)));
  const auto peer = plugin.peer();
  std::string problem;
  {
    auto dropped = std::move(plugin);
    Encounter meeting(dropped, *page, stage.arena());
    meeting.wait_until_it_sleeps_for_a_message();
    const auto fd = value_or_throw(mews::os::open_pidfd(dropped.pid()));
    const auto at = series.next();
    KillAtStep kill(fd.get(), at, [&] {
      const mews::Deadline deadline(kStuck);
      while (!dropped.exit() && !deadline.has_passed())
        std::this_thread::yield();
    });
    call(meeting);
    const auto steps = KillAtStep::steps();
    kill.stop();
    const bool was_reached = at != 0 && steps >= at;
    if (!was_reached) (void)dropped.kill(SIGKILL);
    meeting.receive_all();
    if (!dropped.wait_exit(kStuck)) problem += "it is never gone; ";
    meeting.check_deliveries();
    const std::array<mews::mem::Holding, 1> host{
        {{.peer = mews::kHostPeer, .held = meeting.slabs_kept()}}};
    problem += stage.audit({peer}, host);
    meeting.check_kept();
    problem += meeting.problem();
    series.note(was_reached, steps);
  }
  return problem + stage.audit({peer}) + stage.audit_seat(peer);
}

void every_death(std::string_view scenario, void (*call)(Encounter&), std::uint64_t least) {
  Stage stage;
  WitnessPage page;
  KillSeries series;
  while (!series.is_over()) {
    const auto problem = one_death(stage, page, scenario, call, series);
    INFO("killed at the host's step after " << series.killed() << " others");
    REQUIRE(problem == "");
  }
  std::printf("taken back while the host is at it, %s: %llu steps\n", scenario.data(),
              static_cast<unsigned long long>(series.killed()));
  CHECK(series.killed() >= least);
}

}  // namespace

TEST_CASE("crash: a plugin may be taken back at any step of the host's sending to it") {
  every_death("receive_and_release", send_all_kinds, 30);
}
TEST_CASE("crash: a plugin may be taken back at any step of the host's receiving from it") {
  every_death(
      "hold_some",
      [](Encounter& meeting) {
        for (int i = 0; i < 3; ++i)
          (void)meeting.receive();
        meeting.drop_all();
      },
      20);
}
