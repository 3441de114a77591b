// SPDX-License-Identifier: MIT
#include <functional>
#include <thread>

#include "../support/catch.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/sync/role.hpp"

namespace {

using mews::sync::Role;
using mews::sync::RoleGuard;

/// What `body` returns in a thread of its own.
bool elsewhere(const std::function<bool()>& body) {
  bool result = false;
  std::thread thread([&] { result = body(); });
  thread.join();
  return result;
}

bool can_enter(Role& role) {
  const RoleGuard hold(role);
  return static_cast<bool>(hold);
}

/// Enters and leaves so often that the role is biased to this thread.
bool settle(Role& role) {
  bool all = true;
  for (int i = 0; i < 100; ++i)
    all = can_enter(role) && all;
  return all;
}

}  // namespace

TEST_CASE("role: a thread that is alone always enters") {
  for (const bool is_light : {false, true}) {
    if (is_light) static_cast<void>(mews::os::register_light_fence());
    Role role;
    CHECK(settle(role));
  }
}

TEST_CASE("role: a second thread is refused while the first is inside, and not after") {
  static_cast<void>(mews::os::register_light_fence());
  Role role;
  for (int i = 0; i < 100; ++i) {
    {
      const RoleGuard inside(role);
      REQUIRE(inside);
      CHECK_FALSE(elsewhere([&] { return can_enter(role); }));
    }
    if (i % 10 == 9) CHECK(elsewhere([&] { return can_enter(role); }));
  }
}

TEST_CASE("role: a thread that is inside is refused a second entry, and is inside still") {
  static_cast<void>(mews::os::register_light_fence());
  for (const bool is_settled : {false, true}) {
    INFO("settled: " << is_settled);
    Role role;
    if (is_settled) CHECK(settle(role));
    {
      const RoleGuard inside(role);
      REQUIRE(inside);
      CHECK_FALSE(can_enter(role));
      CHECK_FALSE(elsewhere([&] { return can_enter(role); }));
    }
    CHECK(can_enter(role));
  }
}

TEST_CASE("role: it can pass from thread to thread more often than it has bias slots") {
  static_cast<void>(mews::os::register_light_fence());
  Role role;
  for (int i = 0; i < 30; ++i) {
    CHECK(settle(role));
    CHECK(elsewhere([&] { return settle(role); }));
  }
}

TEST_CASE("role: a hold that was refused leaves nothing when it ends") {
  static_cast<void>(mews::os::register_light_fence());
  Role role;
  CHECK(settle(role));
  const RoleGuard inside(role);
  REQUIRE(inside);
  for (int i = 0; i < 20; ++i)
    CHECK_FALSE(elsewhere([&] { return can_enter(role); }));
  CHECK_FALSE(elsewhere([&] { return role.try_enter() != nullptr; }));
}
