// SPDX-License-Identifier: MIT
#include <csignal>
#include <cstdio>

#include "crash/payload.hpp"
#include "crash/stage.hpp"
#include "crash/table.hpp"
#include "mews/os/process.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// A process dies at each step of what the host is doing: here the host's steps are counted, and at
// the k-th another process is killed.
namespace {

using namespace mews_test;

/// Kills `victim` when this thread is about to take its `at`-th step.
class KillAtStep {
 public:
  KillAtStep(int victim_pidfd, std::uint64_t at) {
    state = {victim_pidfd, at, 0};
    mews::base::step_hook = [](mews::base::Step, const volatile void*, std::size_t) {
      if (++state.count == state.at) (void)mews::os::send_signal(state.victim, SIGKILL);
    };
  }
  KillAtStep(const KillAtStep&) = delete;
  KillAtStep& operator=(const KillAtStep&) = delete;
  ~KillAtStep() { stop(); }
  void stop() {
    mews::base::step_hook = nullptr;
    state.at = 0;
  }
  [[nodiscard]] static std::uint64_t steps() { return state.count; }

 private:
  struct State {
    int victim;  // a descriptor: a number may be another process's by then
    std::uint64_t at;
    std::uint64_t count;
  };
  static inline thread_local State state{};
};

mews::Plugin spawn(Stage& stage, const std::string& name, std::string_view scenario,
                   std::uint64_t kill_at, const WitnessPage& page) {
  return value_or_throw(stage.host().spawn(name, victim_command(scenario, kill_at, page)));
}

/// A plugin that joins by the arena's name, and was not started by the host.
mews::os::Child join(Stage& stage, std::string_view scenario, std::uint64_t kill_at,
                     const WitnessPage& page) {
  auto command = victim_command(scenario, kill_at, page);
  command.push_back(stage.name());
  return value_or_throw(
      mews::os::spawn({.arguments = std::move(command), .environment = {}, .inherited_fds = {}}));
}

/// Admits it, unless it is gone before that can be: who hung up is passed over.
mews::Result<mews::Plugin> admit(Stage& stage, const mews::os::Child& child) {
  for (;;) {
    const bool is_gone = mews::os::has_exited(child.pidfd.get());
    auto plugin = stage.host().admit(std::chrono::milliseconds(is_gone ? 0 : 200));
    if (plugin || is_gone || plugin.error().code() != mews::ErrorCode::timed_out) return plugin;
  }
}

/// Until it sleeps, with two messages in its hands.
void give_it_something(mews::Plugin& plugin, Witness& witness) {
  for (const auto size : {kLarge, kSmall}) {
    std::vector<std::byte> payload(size);
    fill(payload, size == kLarge ? 0 : 1);
    REQUIRE(plugin.channel().send(payload, {}, kStuck));
  }
  const mews::Deadline deadline(kStuck);
  while (witness.received.load() < 2 && !deadline.has_passed()) {
  }
}

}  // namespace

TEST_CASE("crash: a plugin may die at any step of taking back another") {
  Stage stage(mews::Watcher::none);  // so that this thread takes back
  WitnessPage first_page;
  WitnessPage second_page;
  std::uint64_t kill_at = 0;
  for (bool was_reached = true; was_reached;) {
    ++kill_at;
    first_page.reset();
    second_page.reset();
    auto second = spawn(stage, "second", "receive_and_release", 0, second_page);
    give_it_something(second, second_page.get());
    auto first = spawn(stage, "first", "hold_everything", 110, first_page);
    const auto first_fd = value_or_throw(mews::os::open_pidfd(first.pid()));
    REQUIRE(mews::os::wait_for_exit(first_fd.get(), kStuck));
    const auto second_fd = value_or_throw(mews::os::open_pidfd(second.pid()));
    KillAtStep kill(second_fd.get(), kill_at);
    REQUIRE(first.wait_exit(kStuck));
    was_reached = KillAtStep::steps() >= kill_at;
    kill.stop();
    if (!was_reached) REQUIRE(second.kill(SIGKILL));
    REQUIRE(second.wait_exit(kStuck));
    const auto first_peer = first.peer();
    const auto second_peer = second.peer();
    { const auto dropped = std::pair(std::move(first), std::move(second)); }
    INFO("killed at step " << kill_at << " of taking back the other");
    REQUIRE(stage.audit({first_peer, second_peer}) == "");
  }
  std::printf("taking back: %llu steps\n", static_cast<unsigned long long>(kill_at - 1));
}

TEST_CASE("crash: a plugin may die at any step of joining by name") {
  Stage stage;
  std::uint64_t kill_at = 0;
  for (bool was_killed = true; was_killed;) {
    WitnessPage page;
    const auto child = join(stage, "attach", ++kill_at, page);
    auto plugin = admit(stage, child);
    INFO("killed before step " << kill_at << " of joining");
    std::optional<mews::PeerId> peer;
    if (plugin) {
      peer = plugin->peer();
      REQUIRE(plugin->wait_exit(kStuck));
      was_killed = plugin->exit()->is_signal;
    } else {
      REQUIRE(mews::os::wait_for_exit(child.pidfd.get(), kStuck));
      // On a busy machine the deadline may pass in the middle of it all: once more then.
      if (!mews::os::reap(child.pidfd.get())->is_signal) --kill_at;
    }
    const auto problem = peer ? stage.audit({*peer}) : stage.audit({});
    REQUIRE(problem == "");
  }
  std::printf("joining: %llu crash points\n", static_cast<unsigned long long>(kill_at - 1));
  CHECK(kill_at > 1);
}

TEST_CASE("crash: a plugin may die at any step of being admitted") {
  Stage stage;
  std::uint64_t kill_at = 0;
  for (bool was_reached = true; was_reached;) {
    WitnessPage page;
    const auto child = join(stage, "receive_and_release", 0, page);
    KillAtStep kill(child.pidfd.get(), ++kill_at);
    auto plugin = admit(stage, child);
    was_reached = KillAtStep::steps() >= kill_at;
    kill.stop();
    INFO("killed at step " << kill_at << " of admitting");
    if (!was_reached) REQUIRE(mews::os::send_signal(child.pidfd.get(), SIGKILL));
    REQUIRE(mews::os::wait_for_exit(child.pidfd.get(), kStuck));
    if (plugin) {
      REQUIRE(plugin->wait_exit(kStuck));
      REQUIRE(stage.audit({plugin->peer()}) == "");
    } else {
      (void)mews::os::reap(child.pidfd.get());
      REQUIRE(stage.audit({}) == "");
      if (!was_reached) --kill_at;  // the deadline passed in the middle: once more
      was_reached = true;
    }
  }
  std::printf("admitting: %llu steps\n", static_cast<unsigned long long>(kill_at - 1));
  CHECK(kill_at > 1);
}

TEST_CASE("crash: a plugin may end without ever attaching, with messages on their way to it") {
  Stage stage;
  for (int round = 0; round < 8; ++round) {
    auto plugin = value_or_throw(stage.host().spawn("gone", {"/bin/true"}));
    for (const auto size : {kSmall, kLarge, kRun}) {
      auto loan = plugin.channel().loan(size, kStuck);
      REQUIRE(loan);
      if (!plugin.channel().send(std::move(*loan), {}, kStuck)) break;
    }
    const auto end = plugin.channel().receive(kStuck);
    REQUIRE(!end);
    CHECK(end.error().code() == mews::ErrorCode::peer_died);
    REQUIRE(plugin.wait_exit(kStuck));
    REQUIRE(stage.audit({plugin.peer()}) == "");
  }
}
