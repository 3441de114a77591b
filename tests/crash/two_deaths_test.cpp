// SPDX-License-Identifier: MIT
#include <thread>

#include "crash/every_death.hpp"
#include "crash/kill_at_step.hpp"
#include "crash/partners.hpp"
#include "crash/stage.hpp"
#include "crash/table.hpp"
#include "mews/os/process.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// Here the host's steps are counted, and at the k-th of taking one plugin back another is killed,
// which is in the middle of traffic and claims.
namespace {

using namespace mews_test;

/// The second plugin, with the host's thread that keeps it busy.
class Busy {
 public:
  Busy(Stage& stage, VictimLogPage& page)
      : plugin_(value_or_throw(stage.host().spawn("second", victim_command("traffic", 0, page)))),
        host_side_(plugin_, *page, stage.arena()) {
    thread_ = std::thread([this] {
      play_partner("traffic", host_side_);
      host_side_.receive_all();
    });
    const mews::Deadline deadline(kStuck);
    while (page->sent.load() < 3 && !deadline.has_passed())
      std::this_thread::yield();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() { join(); }

  [[nodiscard]] mews::Plugin& plugin() noexcept { return plugin_; }
  /// Once its end is known, and every call with it has returned.
  [[nodiscard]] HostSide& host_side_after_the_end() {
    join();
    return host_side_;
  }

 private:
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  mews::Plugin plugin_;
  HostSide host_side_;
  std::thread thread_;
};

/// What is wrong after both deaths; both handles are dropped by then.
std::string aftermath(Stage& stage, mews::Plugin first, VictimLogPage& first_page,
                      std::unique_ptr<Busy> second) {
  const auto first_peer = first.peer();
  const auto second_peer = second->plugin().peer();
  std::string problem;
  {
    HostSide host_side(first, *first_page, stage.arena());
    auto& other = second->host_side_after_the_end();
    host_side.receive_all();
    host_side.check_deliveries();
    other.check_deliveries();
    const auto kept = host_side.slabs_kept() + other.slabs_kept();
    const std::array<mews::mem::Holding, 1> host{{{.peer = mews::kHostPeer, .held = kept}}};
    problem = stage.audit({first_peer, second_peer}, host);
    host_side.check_kept();
    other.check_kept();
    problem += host_side.problem() + other.problem();
  }
  { const auto dropped = std::move(first); }
  second.reset();
  return problem + stage.audit({first_peer, second_peer}) +
         stage.audit_seat(std::min(first_peer, second_peer));
}

}  // namespace

TEST_CASE("crash: a plugin may die at any step of taking back another") {
  Stage stage(mews::Watcher::none);  // so that this thread takes back
  VictimLogPage first_page;
  every_death("taking back another", 70, [&](std::uint64_t kill_at, VictimLogPage& second_page) {
    first_page.reset();
    auto first =
        value_or_throw(stage.host().spawn("first", victim_command("hold_some", 0, first_page)));
    const mews::Deadline deadline(kStuck);
    while (first_page->sent.load() < 3 && !deadline.has_passed())
      std::this_thread::yield();
    auto second = std::make_unique<Busy>(stage, second_page);
    const auto first_fd = value_or_throw(mews::os::open_pidfd(first.pid()));
    REQUIRE(first.kill(SIGKILL));
    REQUIRE(mews::os::wait_for_exit(first_fd.get(), kStuck));
    const auto second_fd = value_or_throw(mews::os::open_pidfd(second->plugin().pid()));
    KillAtStep kill(second_fd.get(), kill_at);
    REQUIRE(first.wait_exit(kStuck));
    const auto ending = kill.stop();
    if (!ending.was_killed) REQUIRE(second->plugin().kill(SIGKILL));
    REQUIRE(second->plugin().wait_exit(kStuck));
    REQUIRE(aftermath(stage, std::move(first), first_page, std::move(second)) == "");
    return ending;
  });
}

TEST_CASE("crash: a plugin may end without ever attaching, with messages on their way to it") {
  Stage stage;
  for (int round = 0; round < 8; ++round) {
    auto plugin = value_or_throw(stage.host().spawn("gone", {"/bin/true"}));
    const auto peer = plugin.peer();
    for (const auto size : {kSmall, kLarge, kRun}) {
      auto loan = plugin.channel().loan(size, kStuck);
      REQUIRE(loan);
      if (!plugin.channel().send(std::move(*loan), {}, kStuck)) break;
    }
    const auto end = plugin.channel().receive(kStuck);
    REQUIRE(!end);
    CHECK(end.error().code() == mews::ErrorCode::peer_died);
    REQUIRE(plugin.wait_exit(kStuck));
    REQUIRE(stage.audit({peer}) == "");
    { const auto dropped = std::move(plugin); }
    REQUIRE(stage.audit_seat(peer) == "");
  }
}
