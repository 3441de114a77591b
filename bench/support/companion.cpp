// SPDX-License-Identifier: MIT
#include "support/companion.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "support/cpu.hpp"
#include "support/fail.hpp"
#include "support/shared_block.hpp"

namespace mews::bench {
namespace {

constexpr std::uint64_t kQuit = ~std::uint64_t{0};

std::array<std::atomic<pid_t>, 256> living;

// A spinning parent would otherwise wait for a dead child for ever.
void on_child_exit(int) {
  for (const auto& pid : living) {
    siginfo_t info{};
    const auto id = pid.load(std::memory_order_relaxed);
    if (id == 0) continue;
    if (::waitid(P_PID, static_cast<id_t>(id), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == id) {
      constexpr char kText[] = "bench: a process of the benchmark ended early\n";
      [[maybe_unused]] const auto written = ::write(2, kText, sizeof kText - 1);
      ::_exit(1);
    }
  }
}

void enlist(pid_t pid) {
  static const bool is_watching = [] {
    struct sigaction action {};
    action.sa_handler = on_child_exit;
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    return ::sigaction(SIGCHLD, &action, nullptr) == 0;
  }();
  require(is_watching, "sigaction");
  for (auto& slot : living) {
    pid_t vacant = 0;
    if (slot.compare_exchange_strong(vacant, pid, std::memory_order_relaxed)) return;
  }
  fail("too many processes");
}

void delist(pid_t pid) {
  for (auto& slot : living) {
    pid_t mine = pid;
    slot.compare_exchange_strong(mine, 0, std::memory_order_relaxed);
  }
}

// Gives the processor up now and then: the other process may need this very one.
void wait_for(const std::atomic<std::uint32_t>& word, std::uint32_t round) {
  for (unsigned looks = 1; word.load(std::memory_order_acquire) != round; ++looks) {
    if (looks % 4096 == 0) ::sched_yield();
  }
}

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  ::syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

}  // namespace

Companion::Companion(unsigned nth_cpu, Body body) : words_(make_shared_block<Words>()) {
  const auto parent = ::getpid();
  std::fflush(nullptr);
  pid_ = ::fork();
  require(pid_ >= 0, "fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::signal(SIGCHLD, SIG_DFL);
    serve(*words_, nth_cpu, body);
  }
  enlist(pid_);
}

Companion::~Companion() {
  delist(pid_);
  begin(kQuit);
  ::waitpid(pid_, nullptr, 0);
}

void Companion::serve(Words& words, unsigned nth_cpu, const Body& body) {
  pin_to_nth_cpu(nth_cpu);
  for (std::uint32_t round = 1;; ++round) {
    while (words.command.load(std::memory_order_acquire) != round) {
      futex(words.command, FUTEX_WAIT, round - 1);
    }
    const auto operations = words.operations;
    words.begun.store(round, std::memory_order_release);
    if (operations == kQuit) ::_exit(0);
    body({.operations = operations});
    words.done.store(round, std::memory_order_release);
  }
}

void Companion::begin(std::uint64_t operations) {
  words_->operations = operations;
  words_->command.store(++round_, std::memory_order_release);
  futex(words_->command, FUTEX_WAKE, 1);
  if (operations == kQuit) return;
  wait_for(words_->begun, round_);
}

void Companion::finish() {
  wait_for(words_->done, round_);
}

}  // namespace mews::bench
