// SPDX-License-Identifier: MIT
#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "site.hpp"

using namespace process_test;

// What becomes of a plugin that is busy when its host dies.
namespace {

/// A host, started by a thread that has ended, and its plugin, which never looks.
struct Family {
  explicit Family(int parent_death_signal)
      : host([this, parent_death_signal] { return run(parent_death_signal); }) {
    pid.writer.reset();
    end.reader.reset();
    pid_t number = 0;
    if (::read(pid.reader.get(), &number, sizeof number) != sizeof number) return;
    if (auto opened = mews::os::open_pidfd(number)) plugin = std::move(*opened);
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family() {
    if (plugin) (void)mews::os::send_signal(plugin.get(), SIGKILL);
  }
  /// The host is killed, and is gone.
  [[nodiscard]] std::string kill_host() {
    end.writer.reset();
    return host.outcome();
  }

  os_test::Pipe pid = os_test::make_pipe();
  os_test::Pipe end = os_test::make_pipe();
  mews::os::UniqueFd plugin;
  os_test::Fork host;

 private:
  int run(int parent_death_signal) {
    end.writer.reset();
    auto session = must(mews::Session::create(small_arena()));
    mews::PluginOptions options;
    options.process.parent_death_signal = parent_death_signal;
    std::optional<mews::Plugin> busy;
    std::thread([&] { busy = must(session.spawn("busy", command({"busy"}), options)); }).join();
    // It lives on although that thread has ended.
    must(busy->channel().receive(kPatience));
    must(busy->channel().send(bytes_of("go on")));
    must(busy->channel().receive(kPatience));
    if (!busy->is_alive()) return 1;
    const pid_t number = busy->pid();
    if (::write(pid.writer.get(), &number, sizeof number) != sizeof number) return 2;
    char byte = 0;
    (void)!::read(end.reader.get(), &byte, 1);
    return ::raise(SIGKILL);
  }
};

}  // namespace

TEST_CASE("orphan: a busy plugin dies with its host, and not with the thread that spawned it") {
  Family family(SIGKILL);
  REQUIRE(family.plugin);
  CHECK_FALSE(os_test::has_exited(family.plugin.get()));
  CHECK(family.kill_host() == "signal 9 (Killed)");
  CHECK(mews::os::wait_for_exit(family.plugin.get(), kPatience));
}

TEST_CASE("orphan: another signal can be asked for") {
  Family family(SIGTERM);
  REQUIRE(family.plugin);
  CHECK(family.kill_host() == "signal 9 (Killed)");
  CHECK(mews::os::wait_for_exit(family.plugin.get(), kPatience));
}

TEST_CASE("orphan: a plugin that asks for no signal outlives its host") {
  Family family(0);
  REQUIRE(family.plugin);
  CHECK(family.kill_host() == "signal 9 (Killed)");
  CHECK_FALSE(mews::os::wait_for_exit(family.plugin.get(), 100ms));
}

TEST_CASE("orphan: a signal that cannot be is invalid_argument") {
  auto host = must(mews::Session::create(small_arena()));
  for (const int number : {-1, 65}) {
    mews::PluginOptions options;
    options.process.parent_death_signal = number;
    CHECK(outcome(host.spawn("none", {"true"}, options)) == "invalid_argument");
  }
}
