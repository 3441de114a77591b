// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <csignal>
#include <memory>

#include "crash/bystander.hpp"
#include "crash/every_death.hpp"
#include "crash/host_scenarios.hpp"
#include "crash/look_back.hpp"
#include "crash/second_view.hpp"
#include "crash/survivor.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// The host is killed before its k-th change that others can see, for every k. A plugin, this
// process, has threads in every blocking call. The next host takes the name over at once, while the
// plugin still reads what the dead one had sent. Once more with an anonymous arena and a second
// plugin, which works throughout.
namespace {

using namespace mews_test;
using mews::ErrorCode;

/// Which arena, and who is there besides the survivor.
struct Setting {
  std::string arena;
  bool is_named;
  bool has_bystander;
};

struct HostProcess {
  HostProcess(std::string_view scenario, std::uint64_t kill_at, const VictimLogPage& page,
              const Setting& setting)
      : child(value_or_throw(mews::os::spawn(
            {.arguments = {MEWS_TEST_BIN_DIR "/crash_host_child", std::string(scenario),
                           std::to_string(kill_at), page.path(), setting.arena,
                           MEWS_TEST_BIN_DIR "/crash_victim_plugin",
                           setting.is_named ? "named" : "anonymous",
                           setting.has_bystander ? "beside" : "alone"},
             .environment = {},
             .inherited_fds = {}}))) {}
  ~HostProcess() {
    kill();
    wait();
  }
  void kill() const { (void)mews::os::send_signal(child.pidfd.get(), SIGKILL); }
  mews::os::ExitStatus wait() {
    if (!status && mews::os::wait_for_exit(child.pidfd.get(), kStuck)) {
      status = mews::os::reap(child.pidfd.get());
    }
    return status.value_or(mews::os::ExitStatus{.is_signal = false, .number = -1});
  }
  [[nodiscard]] bool is_gone() const {
    return mews::os::wait_for_exit(child.pidfd.get(), std::chrono::seconds(0));
  }

  mews::os::Child child;
  std::optional<mews::os::ExitStatus> status;
};

void wait_for_phase(HostProcess& host, VictimLog& log, std::uint32_t phase) {
  while (log.phase.load() < phase && !host.is_gone())
    ::usleep(20);
}

bool is_honest_refusal(std::optional<ErrorCode> refusal) {
  return refusal == ErrorCode::no_such_arena || refusal == ErrorCode::host_died ||
         refusal == ErrorCode::not_ready;
}

struct Outcome {
  bool was_killed = false;
  std::string problem;
  std::unique_ptr<Survivor> survivor;
};

mews::AttachOptions options_for(const Setting& setting, std::chrono::milliseconds timeout) {
  mews::AttachOptions options;
  (setting.is_named ? options.name : options.socket) =
      setting.is_named ? setting.arena : "@" + setting.arena;
  options.timeout = timeout;
  return options;
}

/// The plugins' part in one life of the host; what is wrong with it, and with what is left.
std::string work_and_look_back(HostProcess& host, const host::Scenario& scenario,
                               const mews::mem::Arena& arena, Survivors& survivors) {
  auto& log = survivors.log;
  survivors.survivor.prepare(scenario.survivor, arena, survivors.survivor_seat);
  if (survivors.bystander_seat) survivors.bystander.begin();
  log.ready = 1;
  if (scenario.name == "hold_everything") wait_for_phase(host, log, host::kHoldsEverything);
  survivors.survivor.work_to_the_end();
  auto problem = survivors.survivor.verdict();
  if (!problem.empty()) host.kill();  // one that hangs would keep the bystander busy for ever
  survivors.bystander.join();
  if (survivors.bystander_seat) problem += survivors.bystander.verdict();
  (void)host.wait();
  return problem + look_back(arena, survivors);
}

Outcome one_death(VictimLogPage& page, const host::Scenario& scenario, std::uint64_t kill_at,
                  const Setting& setting) {
  const auto before = descriptors_of(setting.arena);
  HostProcess host(scenario.name, kill_at, page, setting);
  wait_for_phase(host, *page, host::kListens);
  Outcome outcome;
  outcome.survivor = std::make_unique<Survivor>(*page);
  const bool is_there = page->phase.load() >= host::kListens;
  const auto timeout = is_there ? std::chrono::seconds(10) : std::chrono::milliseconds(20);
  const auto options = options_for(setting, timeout);
  if (outcome.survivor->attach(options)) {
    Bystander bystander;
    if (setting.has_bystander) (void)bystander.attach(options);
    const auto arena = second_view(setting.arena, before);
    const auto seat = arena ? seat_of(*arena, "survivor") : std::nullopt;
    if (seat) {
      Survivors survivors{*page, *outcome.survivor, *seat, bystander, std::nullopt};
      if (bystander.has_attached()) survivors.bystander_seat = seat_of(*arena, "bystander");
      outcome.problem = work_and_look_back(host, scenario, *arena, survivors);
    } else {
      outcome.problem = "the survivor's seat cannot be found; ";
    }
  } else if (!is_honest_refusal(outcome.survivor->refusal())) {
    outcome.problem = "attach: " + std::string(to_string(*outcome.survivor->refusal()));
  }
  const auto status = host.wait();
  outcome.was_killed = status.is_signal && status.number == SIGKILL;
  if (!outcome.was_killed && (status.is_signal || status.number != 0)) {
    outcome.problem += "the host ended by itself: " + status.describe() + " " + page->complaint;
  }
  return outcome;
}

void every_death_of(const std::string& name, std::uint64_t least, const Setting& setting) {
  const auto* scenario = host::find(name);
  REQUIRE(scenario != nullptr);
  std::unique_ptr<Survivor> last;
  const auto what = "host, " + name + (setting.is_named ? ", named" : ", beside one that works");
  every_death(what, least, [&](std::uint64_t kill_at, VictimLogPage& page) {
    auto outcome = one_death(page, *scenario, kill_at, setting);
    REQUIRE(outcome.problem == "");
    // The arena of the host before this one is still there for who has it.
    if (last) REQUIRE(last->check_kept() == "");
    last = std::move(outcome.survivor);
    return Ending{outcome.was_killed, page->steps.load()};
  });
  CHECK(::access(("/dev/shm/mews-" + setting.arena).c_str(), F_OK) != 0);
}

/// At every step, of which there are at least so many.
void every_death_of(const std::string& name, std::uint64_t least) {
  const auto arena = "crash-host-" + std::to_string(::getpid());
  every_death_of(name, least, {.arena = arena, .is_named = true, .has_bystander = false});
  every_death_of(name, least, {.arena = arena, .is_named = false, .has_bystander = true});
}

}  // namespace

TEST_CASE("crash: a host may die at any step of making an arena and admitting a plugin") {
  every_death_of("create", 20);
}
TEST_CASE("crash: a host may die at any step of saying goodbye") {
  every_death_of("goodbye", 3);
}
TEST_CASE("crash: a host may die at any step of sending") {
  every_death_of("send", 90);
}
TEST_CASE("crash: a host may die at any step of receiving and releasing") {
  every_death_of("receive_and_release", 35);
}
TEST_CASE("crash: a host may die at any step of receiving in batches") {
  every_death_of("receive_in_batches", 30);
}
TEST_CASE("crash: a host may die at any step of answering") {
  every_death_of("receive_and_answer", 60);
}
TEST_CASE("crash: a host may die at any step of filling a lane and waiting for room") {
  every_death_of("fill_the_ring", 15);
}
TEST_CASE("crash: a host may die at any step of wrapping around a lane") {
  every_death_of("wrap_with_filler", 50);
}
TEST_CASE("crash: a host may die at any step of finding rows for runs of slabs") {
  every_death_of("run_of_slabs", 40);
}
TEST_CASE("crash: a host may die at any step of falling back on a larger class") {
  every_death_of("larger_class", 24);
}
TEST_CASE("crash: a host may die at any step of finding slabs beyond its home") {
  every_death_of("home_chunks", 60);
}
TEST_CASE("crash: a host may die at any step of finding slabs that no hint names") {
  every_death_of("home_chunks_without_hints", 60);
}
TEST_CASE("crash: a host may die at any step of sending batches") {
  every_death_of("batch", 45);
}
TEST_CASE("crash: a host may die at any step of sleeping and being woken") {
  every_death_of("sleep_and_wake", 20);
}
TEST_CASE("crash: a host may die at any step of forwarding") {
  every_death_of("forward", 35);
}
TEST_CASE("crash: a host may die at any step of waiting in an event loop") {
  every_death_of("event_loop", 18);
}
TEST_CASE("crash: a host may die at any step of giving back all that a plugin waits for") {
  every_death_of("hold_everything", 80);
}
TEST_CASE("crash: a host may die at any step of waiting for a slab") {
  every_death_of("wait_for_a_slab", 20);
}
TEST_CASE("crash: a host may die at any step of starting a plugin and taking back a dead one") {
  every_death_of("recover", 110);
}
