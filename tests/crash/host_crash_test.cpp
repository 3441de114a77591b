// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>

#include "crash/host_scenarios.hpp"
#include "crash/survivor.hpp"
#include "mews/os/process.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// The host is killed before its k-th change that others can see, for every k. A plugin, this
// process, has threads in every blocking call; the next host takes the name over at once, while the
// plugin still reads what the dead one had sent.
namespace {

using namespace mews_test;
using mews::ErrorCode;

struct HostProcess {
  HostProcess(const std::string& scenario, std::uint64_t kill_at, const WitnessPage& page,
              const std::string& name)
      : child(value_or_throw(mews::os::spawn(
            {.arguments = {MEWS_TEST_BIN_DIR "/crash_host_child", scenario, std::to_string(kill_at),
                           page.fd(), name, MEWS_TEST_BIN_DIR "/crash_victim_plugin"},
             .environment = {},
             .inherited_fds = {}}))) {}
  ~HostProcess() {
    (void)mews::os::send_signal(child.pidfd.get(), SIGKILL);
    wait();
  }
  mews::os::ExitStatus wait() {
    if (!status && mews::os::wait_for_exit(child.pidfd.get(), kStuck)) {
      status = mews::os::reap(child.pidfd.get());
    }
    return status.value_or(mews::os::ExitStatus{.is_signal = false, .number = -1});
  }
  [[nodiscard]] bool is_gone() const { return mews::os::has_exited(child.pidfd.get()); }

  mews::os::Child child;
  std::optional<mews::os::ExitStatus> status;
};

void wait_for_phase(HostProcess& host, Witness& witness, std::uint32_t phase) {
  while (witness.phase.load() < phase && !host.is_gone())
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

Outcome one_death(WitnessPage& page, const std::string& scenario, std::uint64_t kill_at,
                  const std::string& name) {
  page.reset();
  HostProcess host(scenario, kill_at, page, name);
  wait_for_phase(host, page.get(), host::kCreated);
  Outcome outcome;
  outcome.survivor = std::make_unique<Survivor>(page.get());
  const bool is_there = page.get().phase.load() >= host::kCreated;
  const auto timeout = is_there ? std::chrono::seconds(10) : std::chrono::milliseconds(20);
  if (outcome.survivor->attach(name, timeout)) {
    const bool wants_slabs = scenario == "hold_everything" || scenario == "recover";
    if (scenario == "hold_everything") {
      wait_for_phase(host, page.get(), host::kHoldsEverything);
    }
    outcome.survivor->work_to_the_end(wants_slabs);
    outcome.problem = outcome.survivor->verdict();
  } else if (!is_honest_refusal(outcome.survivor->refusal())) {
    outcome.problem = "attach: " + std::string(to_string(*outcome.survivor->refusal()));
  }
  const auto status = host.wait();
  outcome.was_killed = status.is_signal && status.number == SIGKILL;
  if (!outcome.was_killed && !status.is_success()) {
    outcome.problem +=
        "the host ended by itself: " + status.describe() + " " + page.get().complaint;
  }
  return outcome;
}

void every_death(const std::string& scenario) {
  WitnessPage page;
  const auto name = "crash-host-" + std::to_string(::getpid());
  std::unique_ptr<Survivor> last;
  std::uint64_t kill_at = 0;
  for (bool was_killed = true; was_killed;) {
    auto outcome = one_death(page, scenario, ++kill_at, name);
    INFO("killed before step " << kill_at << " of " << scenario);
    REQUIRE(outcome.problem == "");
    // The arena of the host before this one is still there for who has it.
    if (last) REQUIRE(last->check_kept() == "");
    last = std::move(outcome.survivor);
    was_killed = outcome.was_killed;
  }
  CHECK(::access(("/dev/shm/mews-" + name).c_str(), F_OK) != 0);
  std::printf("host, %s: %llu crash points\n", scenario.c_str(),
              static_cast<unsigned long long>(kill_at - 1));
  CHECK(kill_at > 1);
}

}  // namespace

TEST_CASE("crash: a host may die at any step of making an arena and admitting a plugin") {
  every_death("create");
}
TEST_CASE("crash: a host may die at any step of saying goodbye") {
  every_death("goodbye");
}
TEST_CASE("crash: a host may die at any step of sending") {
  every_death("send");
}
TEST_CASE("crash: a host may die at any step of receiving") {
  every_death("receive");
}
TEST_CASE("crash: a host may die at any step of answering") {
  every_death("receive_and_answer");
}
TEST_CASE("crash: a host may die at any step of giving back all that a plugin waits for") {
  every_death("hold_everything");
}
TEST_CASE("crash: a host may die at any step of starting a plugin and taking back a dead one") {
  every_death("recover");
}
