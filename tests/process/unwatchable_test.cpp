// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <string>

#include "../support/catch.hpp"
#include "../support/seccomp.hpp"
#include "../unit/os_support.hpp"
#include "site.hpp"

using namespace process_test;

// A process that cannot be watched must not be left running: nobody would ever take it back.
namespace {

/// From now on the system has no memory for another watched descriptor.
bool forbid_watching() {
  return mews_test::forbid_call(SYS_epoll_ctl, ENOMEM);
}

constexpr int kNoFilter = 77;

/// Does `body` with a host for one plugin, in a process of its own where watching fails.
template <class Body>
std::string unwatchable(Body body) {
  os_test::Fork child([&] {
    mews::CreateOptions options;
    options.max_plugins = 1;
    options.local.watcher = mews::Watcher::none;
    auto host = must(mews::Session::create(options));
    return body(host);
  });
  return child.outcome();
}

}  // namespace

TEST_CASE("unwatchable: a plugin that cannot be watched is not started, and costs no seat") {
  const auto ended = unwatchable([](mews::Session& host) {
    if (!forbid_watching()) return kNoFilter;
    for (int i = 0; i < 5; ++i) {
      const auto plugin = host.spawn("unwatched", command({"mute"}));
      if (outcome(plugin) != "out_of_memory") return 1;
      // No child is left, running or dead.
      if (::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD) return 2;
      if (outcome(host.connect("unwatched")) != "out_of_memory") return 3;
    }
    return host.stats().plugins == 0 && host.stats().is_all_free() ? 0 : 4;
  });
  if (ended == "exit code 77") SKIP("no seccomp");
  CHECK(ended == "exit code 0");
}

TEST_CASE("unwatchable: a joiner that cannot be watched is refused, and costs no seat") {
  const auto address = "@" + unique_name("mews-test-unwatchable");
  const auto ended = unwatchable([&](mews::Session& host) {
    must(host.listen(address));
    std::vector<mews::os::Child> joiners;
    for (int i = 0; i < 5; ++i) {
      joiners.push_back(must(mews::os::spawn({.arguments = command({"socket", address, "echo"}),
                                              .environment = {},
                                              .inherited_fds = {}})));
    }
    if (!forbid_watching()) return kNoFilter;
    for (int i = 0; i < 5; ++i) {
      if (outcome(host.admit(kPatience)) != "out_of_memory") return 1;
    }
    for (const auto& joiner : joiners) {
      if (!mews::os::wait_for_exit(joiner.pidfd.get(), kPatience)) return 2;
      const auto status = mews::os::reap(joiner.pidfd.get());
      if (status->number != 100 + static_cast<int>(mews::ErrorCode::out_of_memory)) return 3;
    }
    return 0;
  });
  if (ended == "exit code 77") SKIP("no seccomp");
  CHECK(ended == "exit code 0");
}
