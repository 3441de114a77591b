// SPDX-License-Identifier: MIT
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <future>
#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "exit_log.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

using Names = std::vector<std::string>;

/// From now on this process may signal nobody.
bool forbid_signals() {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

constexpr int kNoFilter = 77;

}  // namespace

TEST_CASE("shutdown: whoever waits for a restart is told that the session is closing") {
  ExitLog log;
  auto options = on_crash(log);
  options.restart_delay = std::chrono::hours(1);
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", command({"crash_on_request"}), options));
  must(plugin.channel().send(bytes_of("x")));
  CHECK(must(plugin.wait_exit(kPatience)).will_restart);
  auto renewed = std::async(std::launch::async, [&] { return plugin.renew(mews::forever); });
  std::this_thread::sleep_for(20ms);  // it may be asleep by now or not; either must end
  CHECK(must(host.shutdown(kPatience)).is_clean());
  const auto error = renewed.get();
  REQUIRE(outcome(error) == "closed");
  CHECK_THAT(error.error().message(), ContainsSubstring("shutting down"));
  // What was planned is not spoken of any more.
  CHECK(plugin.exit()->description == "fonts: exit code 7");
  CHECK_FALSE(plugin.exit()->will_restart);
}

TEST_CASE("shutdown: nobody is let in after it") {
  auto host = must(mews::Session::create());
  must(host.listen("@" + unique_name("mews-test-closed")));
  CHECK(must(host.shutdown(kPatience)).is_clean());
  CHECK(outcome(host.spawn("late", command({"echo"}))) == "closed");
  CHECK(outcome(host.admit(0ms)) == "closed");
  CHECK(outcome(host.connect("late")) == "closed");
  CHECK(outcome(host.listen("@" + unique_name("mews-test-closed"))) == "closed");
  CHECK_THAT(host.connect("late").error().message(), ContainsSubstring("shutting down"));
}

TEST_CASE("shutdown: a plugin's session cannot do it, and says so") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("guest"));
  CHECK(outcome(guest.shutdown(kPatience)) == "invalid_argument");
}

TEST_CASE("shutdown: a process that may not be signalled is left behind, and waited for but once") {
  os_test::Fork child([] {
    auto host = must(mews::Session::create(small_arena()));
    auto deaf = must(host.spawn("deaf", command({"deaf"})));
    must(deaf.channel().receive(kPatience));
    if (!forbid_signals()) return kNoFilter;
    const auto first = must(host.shutdown(20ms));
    if (!first.killed.empty()) return 1;
    if (first.left_behind != Names{"deaf"}) return 2;
    // Waited for, this would end the test.
    const auto second = must(host.shutdown(mews::forever));
    if (!second.killed.empty() || second.left_behind != Names{"deaf"}) return 3;
    if (outcome(deaf.stop(0ms)) != "permission_denied") return 4;
    return deaf.is_alive() ? 0 : 5;
  });
  const auto ended = child.outcome();
  if (ended == "exit code 77") SKIP("no seccomp");
  CHECK(ended == "exit code 0");
}
