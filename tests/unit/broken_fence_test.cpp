// SPDX-License-Identifier: MIT
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <thread>

#include "../support/catch.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/role.hpp"
#include "os_support.hpp"

namespace {

/// From now on `membarrier` is refused to this thread and to those that it starts.
bool forbid_membarrier() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool can_enter(mews::sync::Role& role) {
  const mews::sync::RoleHold hold(role);
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
  mews::sync::Role role;
  if (!mews::os::register_light_fence()) return;
  for (int i = 0; i < 100; ++i)
    REQUIRE(can_enter(role));
  if (!forbid_membarrier()) return;
  CHECK(mews::os::has_light_fence());

  // The role is biased to this thread: whether it is inside, no other can see any more.
  REQUIRE(role.try_enter());
  CHECK_FALSE(can_enter_elsewhere(role));
  role.leave();
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
  CHECK(bell.sleep(bell.arm(mews::sync::Sleeper::futex), mews::forever) ==
        mews::os::FutexWait::timed_out);
}

TEST_CASE("broken fence: roles refuse and sleeps are bounded when membarrier is forbidden later") {
  auto child = mews::os::spawn({.arguments = {"/proc/self/exe", "[.forbidden]"},
                                .environment = {"MEWS_FULL_FENCE="},
                                .inherited_fds = {}});
  REQUIRE(child);
  REQUIRE(mews::os::wait_for_exit(child->pidfd.get(), os_test::kPatience));
  const auto status = mews::os::reap(child->pidfd.get());
  REQUIRE(status);
  CHECK(status->describe() == "exit code 0");
}
