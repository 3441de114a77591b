// SPDX-License-Identifier: MIT
#include "compare/crew.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>

#include "support/child_watch.hpp"
#include "support/cpu.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

using Word = std::atomic<std::uint32_t>;

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

}  // namespace

Crew::Crew(Board& board, unsigned clients, const std::function<void(unsigned)>& body)
    : board_(board) {
  require(clients <= Board::kMostClients, "too many clients");
  for (unsigned nth = 0; nth < clients; ++nth) {
    const auto pid = fork_child();
    if (pid == 0) {
      body(nth);
      std::_Exit(0);
    }
    watch_child(pid);
    pids_.push_back(pid);
  }
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
  unwatch_child(pids_[nth]);
}

void Crew::dismiss() {
  unwatch_children();  // also as threads of iceoryx do not bear an interrupted wait
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
