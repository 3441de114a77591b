// SPDX-License-Identifier: MIT
#include "support/companion.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child_watch.hpp"
#include "support/cpu.hpp"
#include "support/shared_block.hpp"

namespace mews::bench {
namespace {

constexpr std::uint64_t kQuit = ~std::uint64_t{0};

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
  pid_ = fork_child();
  if (pid_ == 0) serve(*words_, nth_cpu, body);
  watch_child(pid_);
}

Companion::~Companion() {
  unwatch_child(pid_);
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
