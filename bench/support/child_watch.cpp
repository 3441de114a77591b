// SPDX-License-Identifier: MIT
#include "support/child_watch.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>

#include "support/fail.hpp"

namespace mews::bench {
namespace {

// Relaxed throughout: the thread that writes is the one that the handler interrupts.
std::array<std::atomic<pid_t>, 256> watched;

void end_if_over(pid_t pid) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) return;
  if (info.si_pid != pid) return;
  constexpr char kText[] = "bench: a process of the benchmark ended early\n";
  [[maybe_unused]] const auto written = ::write(2, kText, sizeof kText - 1);
  ::_exit(1);
}

void on_child_exit(int) {
  for (const auto& slot : watched) {
    const auto pid = slot.load(std::memory_order_relaxed);
    if (pid != 0) end_if_over(pid);
  }
}

}  // namespace

pid_t fork_child() {
  const auto parent = ::getpid();
  std::fflush(nullptr);
  const auto pid = ::fork();
  require(pid >= 0, "fork");
  if (pid == 0) {
    ::signal(SIGCHLD, SIG_DFL);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
  }
  return pid;
}

void watch_child(pid_t pid) {
  struct sigaction action {};
  action.sa_handler = on_child_exit;
  action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
  require(::sigaction(SIGCHLD, &action, nullptr) == 0, "sigaction");
  for (auto& slot : watched) {
    pid_t vacant = 0;
    if (!slot.compare_exchange_strong(vacant, pid, std::memory_order_relaxed)) continue;
    return end_if_over(pid);  // it may have ended before
  }
  fail("too many processes");
}

void unwatch_child(pid_t pid) {
  for (auto& slot : watched) {
    pid_t mine = pid;
    slot.compare_exchange_strong(mine, 0, std::memory_order_relaxed);
  }
}

void unwatch_children() {
  ::signal(SIGCHLD, SIG_DFL);
  for (auto& slot : watched)
    slot.store(0, std::memory_order_relaxed);
}

}  // namespace mews::bench
