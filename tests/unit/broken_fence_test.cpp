// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/syscall.h>

#include <thread>

#include "../support/catch.hpp"
#include "../support/own_program.hpp"
#include "../support/seccomp.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/role.hpp"
#include "os_support.hpp"

namespace {

bool can_enter(mews::sync::Role& role) {
  const mews::sync::RoleGuard hold(role);
  return static_cast<bool>(hold);
}

bool can_enter_elsewhere(mews::sync::Role& role) {
  bool result = false;
  std::thread([&] { result = can_enter(role); }).join();
  return result;
}

}  // namespace

// Run by the test below, in a process of its own.
TEST_CASE("broken fence: what holds when membarrier is forbidden later", "[.forbidden]") {
  mews_test::InOwnProgram program;
  if (!mews::os::register_light_fence()) return program.skip("no light fence");
  mews::sync::Role role;
  for (int i = 0; i < 100; ++i)
    REQUIRE(can_enter(role));
  if (!mews_test::forbid_call(SYS_membarrier, EPERM)) return program.skip("no seccomp");
  CHECK(mews::os::has_light_fence());

  // The role is biased to this thread: whether it is inside, no other can see any more.
  {
    const mews::sync::RoleGuard inside(role);
    REQUIRE(inside);
    CHECK_FALSE(can_enter_elsewhere(role));
  }
  CHECK_FALSE(can_enter_elsewhere(role));
  CHECK(can_enter(role));

  CHECK_FALSE(mews::os::heavy_fence());
  CHECK_FALSE(mews::os::has_light_fence());
  CHECK(mews::os::is_light_fence_broken());
  CHECK_FALSE(mews::os::register_light_fence());
  CHECK(mews::os::is_light_fence_broken());

  // A role that is not biased yet stays so, and goes from thread to thread.
  mews::sync::Role other;
  for (int i = 0; i < 100; ++i)
    REQUIRE(can_enter(other));
  CHECK(can_enter_elsewhere(other));

  // Nobody rings: without a bound this would sleep for ever.
  mews::base::Atomic<std::uint32_t> word{0};
  const mews::sync::Doorbell bell(word);
  CHECK(bell.sleep(bell.arm(mews::sync::Sleeper::futex, mews::sync::ArmFence::heavy),
                   mews::forever) == mews::os::FutexWait::timed_out);
  program.finish();
}

TEST_CASE("broken fence: roles refuse and sleeps are bounded when membarrier is forbidden later") {
  const auto run =
      mews_test::run_own_program("[.forbidden]", {"MEWS_FULL_FENCE="}, os_test::kPatience);
  CHECK(run.outcome == "passed");
  if (!run.skipped.empty()) SKIP(run.skipped);
}
