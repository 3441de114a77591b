// SPDX-License-Identifier: MIT
#include "child_steps.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

// A sanitizer's notes are the parent's as well, and must not record the child's accesses.
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define MEWS_IN_CHILD __attribute__((disable_sanitizer_instrumentation))
#endif
#endif
#if !defined(MEWS_IN_CHILD)
#define MEWS_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))
#endif

namespace mews::inline MEWS_LAYOUT::os {
namespace {

#if !defined(SYS_close_range)
#define SYS_close_range 436
#endif
constexpr unsigned kCloseRangeCloexec = 1U << 2;
constexpr int kFirstOwn = 3;
constexpr int kFailed = 127;

MEWS_IN_CHILD void set_close_on_exec(int fd, int flag) noexcept {
  ::syscall(SYS_fcntl, fd, F_SETFD, flag);
}

MEWS_IN_CHILD bool is_not_own(int fd) noexcept {
  return fd < kFirstOwn;
}

/// A directory entry as the kernel writes it.
struct Entry {
  std::uint64_t inode;
  std::int64_t next;
  std::uint16_t bytes;
  unsigned char type;
  char name[1];
};

/// Returns the number that a name spells; -1 when it is none.
MEWS_IN_CHILD int number_of(const char* name) noexcept {
  int number = 0;
  if (*name == '\0') return -1;
  for (; *name != '\0'; ++name) {
    if (*name < '0' || *name > '9') return -1;
    number = 10 * number + (*name - '0');
  }
  return number;
}

/// For kernels without close_range: each descriptor that /proc names.
MEWS_IN_CHILD bool mark_those_in_proc() noexcept {
  const auto folder = static_cast<int>(
      ::syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (folder < 0) return false;
  alignas(Entry) char buffer[2048];
  long bytes = 0;
  while ((bytes = ::syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < bytes;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      const int fd = number_of(entry->name);
      if (!is_not_own(fd)) set_close_on_exec(fd, FD_CLOEXEC);
      at += entry->bytes;
    }
  }
  return true;
}

MEWS_IN_CHILD void mark_all_close_on_exec() noexcept {
  // A sandbox may return any error; the other way serves for each of them.
  if (::syscall(SYS_close_range, kFirstOwn, ~0U, kCloseRangeCloexec) == 0) return;
  if (mark_those_in_proc()) return;
  std::uint64_t limit[2] = {1U << 20, 0};
  ::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, limit);
  const int most = limit[0] < (1U << 20) ? static_cast<int>(limit[0]) : 1 << 20;
  for (int fd = kFirstOwn; fd < most; ++fd)
    set_close_on_exec(fd, FD_CLOEXEC);
}

/// All dispositions default and nothing blocked, as the program may expect it.
MEWS_IN_CHILD void reset_signals() noexcept {
  // Handler, flags, restorer and mask as the kernel has them, in whatever order: all are zero.
  static constexpr std::uint64_t defaults[8] = {};
  constexpr int kSignals = 64;
  for (int number = 1; number <= kSignals; ++number)
    ::syscall(SYS_rt_sigaction, number, defaults, nullptr, sizeof(std::uint64_t));
  const std::uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
}

/// False when the parent is gone already: its end sends no signal any more.
MEWS_IN_CHILD bool follow_parent(const ChildPlan& plan) noexcept {
  ::syscall(SYS_prctl, PR_SET_PDEATHSIG, plan.parent_death_signal, 0, 0, 0);
  const long parent = ::syscall(SYS_getppid);
  return parent == plan.parent || parent == 0;  // 0: it lives in a process namespace outside
}

[[noreturn]] MEWS_IN_CHILD void end() noexcept {
  for (;;)
    ::syscall(SYS_exit_group, kFailed);
}

MEWS_IN_CHILD void begin(ChildPlan& plan, ChildStep step, std::size_t index = 0) noexcept {
  __atomic_store_n(&plan.index, index, __ATOMIC_RELAXED);
  // Relaxed: only for the text of an error.
  __atomic_store_n(&plan.step, static_cast<int>(step), __ATOMIC_RELAXED);
}

/// Ends the child if its present step has failed.
MEWS_IN_CHILD void require(ChildPlan& plan, long result) noexcept {
  if (result >= 0) return;
  plan.failure = errno;
  end();
}

MEWS_IN_CHILD void take_surroundings(ChildPlan& plan) noexcept {
  if (plan.group != ChildGroup::inherited) {
    begin(plan, ChildStep::group);
    require(plan, plan.group == ChildGroup::own_session ? ::syscall(SYS_setsid)
                                                        : ::syscall(SYS_setpgid, 0, 0));
  }
  if (plan.has_nice) {
    begin(plan, ChildStep::nice);
    require(plan, ::syscall(SYS_setpriority, PRIO_PROCESS, 0, plan.nice));
  }
  if (plan.working_directory != nullptr) {
    begin(plan, ChildStep::working_directory);
    require(plan, ::syscall(SYS_chdir, plan.working_directory));
  }
}

MEWS_IN_CHILD void take_descriptors(ChildPlan& plan) noexcept {
  for (int i = 0; i < kFirstOwn; ++i) {
    if (plan.standard_fds[i] < 0) continue;
    begin(plan, ChildStep::standard_stream, static_cast<std::size_t>(i));
    require(plan, ::syscall(SYS_dup3, plan.standard_fds[i], i, 0));
  }
  begin(plan, ChildStep::close_others);
  mark_all_close_on_exec();
  for (std::size_t i = 0; i < plan.kept_count; ++i) {
    begin(plan, ChildStep::keep_descriptor, i);
    require(plan, ::syscall(SYS_fcntl, plan.kept_fds[i], F_SETFD, 0));
  }
}

MEWS_IN_CHILD void take_limits(ChildPlan& plan) noexcept {
  for (std::size_t i = 0; i < plan.limit_count; ++i) {
    begin(plan, ChildStep::limit, i);
    const std::uint64_t limit[2] = {plan.limits[i].soft, plan.limits[i].hard};
    require(plan, ::syscall(SYS_prlimit64, 0, plan.limits[i].resource, limit, nullptr));
  }
}

/// Returns only when no program could be executed: why, as execvpe(3) would say it.
MEWS_IN_CHILD int execute(const ChildPlan& plan) noexcept {
  bool is_denied = false;
  int failure = ENOENT;
  for (const auto* program = plan.programs; *program != nullptr; ++program) {
    ::syscall(SYS_execve, *program, plan.arguments, plan.environment);
    failure = errno;
    switch (failure) {
      case EACCES:
        is_denied = true;
        break;
      case ENOENT:
      case ENOTDIR:
      case ESTALE:
      case ENODEV:
      case ETIMEDOUT:
        break;
      default:
        return failure;
    }
  }
  return is_denied ? EACCES : failure;
}

}  // namespace

MEWS_IN_CHILD int run_child(void* argument) {
  auto& plan = *static_cast<ChildPlan*>(argument);
  // seq_cst; partner: `Start::give_up`. The parent stores this, then looks for the child's
  // descriptor, which the kernel has stored before this load. One of the two sees the other.
  if (__atomic_load_n(&plan.is_given_up, __ATOMIC_SEQ_CST) != 0) end();
  take_surroundings(plan);
  take_descriptors(plan);
  take_limits(plan);
  if (plan.parent_death_signal != 0) {
    begin(plan, ChildStep::parent_death_signal);
    if (!follow_parent(plan)) end();
  }
  begin(plan, ChildStep::signals);
  reset_signals();
  begin(plan, ChildStep::execute);
  plan.failure = execute(plan);
  end();
}

}  // namespace mews::inline MEWS_LAYOUT::os
