// SPDX-License-Identifier: MIT
#include <csignal>

#include "crash/admission.hpp"
#include "crash/every_death.hpp"
#include "crash/kill_at_step.hpp"
#include "crash/stage.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// A plugin that was not started by the host joins by the arena's name, and dies at each step of its
// own and of the host's.
namespace {

using namespace mews_test;

/// What is wrong once the child is dead, whether it had been admitted or not.
std::string aftermath(Stage& stage, Admission& admission, std::optional<mews::Plugin> plugin) {
  if (!plugin) return admission.problem() + stage.audit({});
  const auto peer = plugin->peer();
  if (!plugin->wait_exit(kStuck)) return "who was admitted is never gone; ";
  auto problem = stage.audit({peer});
  plugin.reset();
  admission.close();
  return problem + admission.problem() + stage.audit_seat(peer);
}

/// How the dead child ended. The host did not start it, so its status is this process's to take.
mews::os::ExitStatus status_of(const mews::os::Child& child) {
  const auto status = mews::os::reap(child.pidfd.get());
  REQUIRE(status);
  return *status;
}

}  // namespace

TEST_CASE("crash: a plugin may die at any step of joining by name") {
  Stage stage;
  every_death("joining", 10, [&](std::uint64_t kill_at, VictimLogPage& page) {
    const auto child = value_or_throw(join(stage, "attach", kill_at, page));
    Admission admission(stage, child);
    auto plugin = admission.admit();
    const bool was_admitted = plugin.has_value();
    REQUIRE(aftermath(stage, admission, std::move(plugin)) == "");
    const auto status = status_of(child);
    if (!was_admitted) REQUIRE(status.is_signal);
    return Ending{status.is_signal, page->steps.load()};
  });
}

TEST_CASE("crash: a plugin may die at any step of being admitted") {
  Stage stage;
  every_death("admitting", 70, [&](std::uint64_t kill_at, VictimLogPage& page) {
    const auto child = value_or_throw(join(stage, "receive_and_release", 0, page));
    Admission admission(stage, child);
    KillAtStep kill(child.pidfd.get(), kill_at);
    auto plugin = admission.admit();
    const auto ending = kill.stop();
    if (!ending.was_killed) {
      REQUIRE(plugin);
      REQUIRE(mews::os::send_signal(child.pidfd.get(), SIGKILL));
    }
    REQUIRE(aftermath(stage, admission, std::move(plugin)) == "");
    REQUIRE(status_of(child).is_signal);
    return ending;
  });
}
