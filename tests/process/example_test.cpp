// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "core/scope_exit.hpp"
#include "mews/base/sanitizer.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "site.hpp"

using namespace process_test;
namespace fs = std::filesystem;

namespace {

/// Where the examples are built, when they are.
const fs::path kExamples = fs::path(MEWS_TEST_BIN_DIR) / "../../examples";

std::size_t threads_of(pid_t pid) {
  std::error_code gone;
  const fs::directory_iterator tasks("/proc/" + std::to_string(pid) + "/task", gone);
  return gone ? 0 : static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

/// Kills a process at the end of the scope: one that is left behind keeps the test's stdout open.
mews::detail::ScopeExit end_of(int pidfd) {
  return mews::detail::ScopeExit([pidfd] { (void)mews::os::send_signal(pidfd, SIGKILL); });
}

/// The threads of a plugin that has attached: the main one, the watch, and a sanitizer's own.
constexpr std::size_t kThreadsAttached = mews::base::kIsThreadSanitized ? 3 : 2;

/// The number in a file; 0 while there is none.
pid_t read_pid(const std::string& path) {
  pid_t pid = 0;
  std::ifstream(path) >> pid;
  return pid;
}

}  // namespace

TEST_CASE("example: hello_plugin exits when hello_host is killed") {
  if (!fs::exists(kExamples / "hello_host") || !fs::exists(kExamples / "hello_plugin")) {
    SKIP("the examples are not built");
  }
  // hello_host starts the hello_plugin that lies beside it: here a script that stops, so that the
  // host is caught while it waits for the reply, and then becomes the real one.
  const os_test::TempDir directory;
  const auto host_path = directory.file("hello_host");
  const auto plugin_path = directory.file("hello_plugin");
  fs::create_symlink(fs::canonical(kExamples / "hello_host"), host_path);
  std::ofstream(plugin_path) << "#!/bin/sh\necho $$ > " << directory.file("a")
                             << "\nkill -STOP $$\nexec "
                             << fs::canonical(kExamples / "hello_plugin").string() << "\n";
  REQUIRE(::chmod(plugin_path.c_str(), 0700) == 0);
  const auto host =
      must(mews::os::spawn({.arguments = {host_path}, .environment = {}, .inherited_fds = {}}));
  const auto end_of_host = end_of(host.pidfd.get());

  pid_t plugin = 0;
  const bool is_stopped = eventually([&] {
    plugin = read_pid(directory.file("a"));
    return plugin != 0 && state_of(plugin) == 'T';
  });
  REQUIRE(is_stopped);
  must(mews::os::send_signal(host.pidfd.get(), SIGSTOP));
  REQUIRE(eventually([&] { return state_of(host.pid) == 'T'; }));
  const auto plugin_fd = must(mews::os::open_pidfd(plugin));
  const auto end_of_plugin = end_of(plugin_fd.get());
  must(mews::os::send_signal(plugin_fd.get(), SIGCONT));
  // It has attached, and waits for the next request.
  REQUIRE(eventually(
      [&] { return threads_of(plugin) == kThreadsAttached && state_of(plugin) == 'S'; }));
  must(mews::os::send_signal(host.pidfd.get(), SIGKILL));
  CHECK(mews::os::wait_for_exit(plugin_fd.get(), kPatience));
  CHECK(mews::os::wait_for_exit(host.pidfd.get(), kPatience));
  CHECK(mews::os::reap(host.pidfd.get()));
  fs::remove(host_path);
  fs::remove(plugin_path);
}
