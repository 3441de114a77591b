// SPDX-License-Identifier: MIT
#include "compare/crew.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdio>

#include "support/cpu.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

using Word = std::atomic<std::uint32_t>;

std::array<std::atomic<pid_t>, Board::kMostClients> living;

void on_child_exit(int) {
  for (const auto& pid : living) {
    siginfo_t info{};
    const auto id = pid.load(std::memory_order_relaxed);
    if (id == 0) continue;
    if (::waitid(P_PID, static_cast<id_t>(id), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == id) {
      constexpr char kText[] = "bench: a client ended early\n";
      [[maybe_unused]] const auto written = ::write(2, kText, sizeof kText - 1);
      ::_exit(1);
    }
  }
}

void futex(Word& word, int operation, std::uint32_t value) {
  ::syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}
void raise(Word& word) {
  word.store(1, std::memory_order_release);
  futex(word, FUTEX_WAKE, INT_MAX);
}
void wait_for(Word& word) {
  while (word.load(std::memory_order_acquire) == 0)
    futex(word, FUTEX_WAIT, 0);
}
void wait_for_count(const Word& word, std::size_t count) {
  while (word.load(std::memory_order_acquire) < count)
    ::usleep(200);
}

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

}  // namespace

Crew::Crew(Board& board, unsigned clients, const std::function<void(unsigned)>& body)
    : board_(board) {
  require(clients <= Board::kMostClients, "too many clients");
  struct sigaction action {};
  action.sa_handler = on_child_exit;
  action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
  require(::sigaction(SIGCHLD, &action, nullptr) == 0, "sigaction");
  for (unsigned nth = 0; nth < clients; ++nth) {
    const auto pid = fork_child();
    if (pid == 0) {
      body(nth);
      std::_Exit(0);
    }
    living[nth].store(pid, std::memory_order_relaxed);
    pids_.push_back(pid);
  }
  // One may have ended before it was listed.
  on_child_exit(SIGCHLD);
}

void Crew::begin() {
  wait_for_count(board_.ready, pids_.size());
  board_.begin_ticks = ticks();
  raise(board_.begun);
}

void Crew::wait_until_done() {
  wait_for_count(board_.done, pids_.size());
}

void Crew::expect_end_of(unsigned nth) {
  living[nth].store(0, std::memory_order_relaxed);
}

void Crew::dismiss() {
  ::signal(SIGCHLD, SIG_DFL);  // no handler: threads of iceoryx do not bear an interrupted wait
  for (auto& pid : living)
    pid.store(0, std::memory_order_relaxed);
  raise(board_.over);
  for (const auto pid : pids_)
    ::waitpid(pid, nullptr, 0);
}

void report_ready(Board& board) {
  board.ready.fetch_add(1, std::memory_order_acq_rel);
  wait_for(board.begun);
}

void report_done(Board& board) {
  board.done.fetch_add(1, std::memory_order_acq_rel);
  wait_for(board.over);
}

Sleepless::Sleepless() {
  const auto cpus = static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN));
  for (unsigned nth = 0; nth < cpus; ++nth) {
    const auto pid = fork_child();
    if (pid == 0) {
      pin_to_nth_cpu(nth);
      sched_param none{};
      if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) ::_exit(0);
      for (volatile std::uint64_t turns = 0;;)
        turns = turns + 1;
    }
    pids_.push_back(pid);
  }
}

Sleepless::~Sleepless() {
  for (const auto pid : pids_) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

}  // namespace mews::bench::compare
