// SPDX-License-Identifier: MIT
// A system without /dev/shm, as a minimal container is one.
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <string>

#include "../support/catch.hpp"
#include "mews/mews.hpp"
#include "os_support.hpp"

namespace {

enum Outcome : int { good, not_permitted, created, other_error, no_advice, no_anonymous_one };

/// In a child, which alone sees an empty /dev.
int create_without_shm() {
  const int user_namespace = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
  if (::unshare(CLONE_NEWNS | user_namespace) != 0) return not_permitted;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return not_permitted;
  if (::mount("tmpfs", "/dev", "tmpfs", 0, nullptr) != 0) return not_permitted;
  const mews::LocalOptions local{.watcher = mews::Watcher::none};
  const auto named =
      mews::Session::create({.name = "no-shm", .backing = mews::Backing::named, .local = local});
  if (named) return created;
  const auto& error = named.error();
  if (error.code() != mews::ErrorCode::os_error || error.os_errno() != ENOENT) return other_error;
  const auto text = error.message();
  if (text.find("/dev/shm is not there: mount a tmpfs there") == std::string::npos ||
      text.find("anonymous") == std::string::npos) {
    return no_advice;
  }
  const auto anonymous = mews::Session::create({.name = "no-shm", .local = local});
  return anonymous ? good : no_anonymous_one;
}

}  // namespace

TEST_CASE("create: a named arena without /dev/shm is an error that says what to do") {
  os_test::Fork child(create_without_shm);
  const auto outcome = child.outcome();
  if (outcome == "exit code 1") SKIP("no tmpfs may be mounted here");
  CHECK(outcome == "exit code 0");
}
