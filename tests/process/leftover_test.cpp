// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

TEST_CASE("leftover: the file of a host's socket goes with the host") {
  const os_test::TempDir directory;
  const auto path = directory.file("a");
  {
    auto host = must(mews::Session::create());
    must(host.listen(path));
    CHECK(is_there(path));
  }
  CHECK_FALSE(is_there(path));
}

TEST_CASE("leftover: what somebody else has put in the place of a host's socket stays") {
  const os_test::TempDir directory;
  const auto path = directory.file("a");
  auto other = must(mews::Session::create());
  {
    auto host = must(mews::Session::create());
    must(host.listen(path));
    REQUIRE(::unlink(path.c_str()) == 0);
    must(other.listen(path));
  }
  CHECK(is_there(path));
}

// UndefinedBehaviorSanitizer looks at types through a pipe, for which there is no descriptor here.
#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("leftover: a named arena that cannot be made leaves no name, whatever fails") {
  const auto name = unique_name("mews-test-unmade");
  os_test::Fork child([&] {
    mews::CreateOptions options;
    options.name = name;
    options.backing = mews::Backing::named;
    options.local.watcher = mews::Watcher::none;
    // One descriptor more each time: every step of making it is the one that fails, once.
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    int failures = 0;
    for (limit.rlim_cur = 3; limit.rlim_cur < limit.rlim_max; ++limit.rlim_cur) {
      if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
      const auto session = mews::Session::create(options);
      if (session) return failures >= 4 ? 0 : 2;
      if (session.error().os_errno() != EMFILE) return 3;
      if (is_there("/dev/shm/mews-" + name)) return 4;
      ++failures;
    }
    return 5;
  });
  CHECK(child.outcome() == "exit code 0");
  CHECK_FALSE(is_there("/dev/shm/mews-" + name));
}
#endif
