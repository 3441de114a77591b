// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>

#include "core/longest_sleep.hpp"
#include "mews/mews.hpp"
#include "stress/stress_support.hpp"
#include "support/random.hpp"
#include "support/shared_page.hpp"

/// What every process of the loan stress test does: too many threads that want too few slabs, and
/// a channel beside.
namespace stress {

inline constexpr unsigned kLenders = 3;           ///< threads of each process
inline constexpr std::uint32_t kWantsAnswer = 1;  ///< type of a message
inline constexpr std::uint32_t kLast = 2;         ///< the same

/// All processes share it. seq_cst throughout: the first two are compared with each other.
struct LoanWords {
  std::atomic<std::uint64_t> asking{0};      ///< threads that are about to get a loan
  std::atomic<std::uint64_t> granted{0};     ///< loans so far
  std::atomic<std::uint64_t> received[2]{};  ///< messages of each plugin so far
  std::atomic<bool> is_over{false};          ///< somebody has complained
};

struct LoanPlan {
  std::uint64_t rounds;         ///< of each thread
  std::uint64_t messages;       ///< of each plugin
  std::uint64_t largest_bytes;  ///< of a loan
  std::uint64_t seed;
};

/// For the processes of this test: a wake-up that is lost is missed until `kPatience` ends.
inline void never_look_again() {
  mews::detail::longest_sleep = std::chrono::hours(1);
}

/// So long that what follows falls on every moment of the other side's way to sleep.
inline void pause_a_little(mews_test::Random& random) {
  for (auto spins = random() % 1'000; spins > 0; --spins)
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// Lends and drops. Who has dropped while others ask does not ask again before somebody got one:
/// so a wake-up that was lost is not made up for by the next, and everybody stands still.
[[nodiscard]] inline std::string lend_and_drop(mews::Channel& channel, LoanWords& words,
                                               const LoanPlan& plan, std::uint64_t id) {
  mews_test::Random random(plan.seed + id);
  for (std::uint64_t i = 0; i < plan.rounds && !words.is_over; ++i) {
    const auto bytes = mews_test::between(random, 481, plan.largest_bytes);
    ++words.asking;
    auto loan = channel.loan(bytes, kPatience);
    --words.asking;
    ++words.granted;
    if (!loan) return "loan " + std::to_string(i) + ": " + loan.error().message();
    const auto mark = id << 32 | i;
    std::memcpy(loan->bytes().data(), &mark, sizeof mark);
    if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 100));
    std::uint64_t seen = 0;
    std::memcpy(&seen, loan->bytes().data(), sizeof seen);
    if (seen != mark) return "a slab was lent twice";
    const auto granted = words.granted.load();
    *loan = mews::Loan();
    const mews::Deadline deadline(kPatience);
    while (words.asking > 0 && words.granted == granted && !words.is_over) {
      if (deadline.has_passed()) return "nobody gets what was dropped";
      std::this_thread::yield();
    }
  }
  return {};
}

/// In all threads of a process; their complaints.
[[nodiscard]] inline std::string lend_in_threads(mews::Channel& channel, LoanWords& words,
                                                 const LoanPlan& plan, std::uint64_t process) {
  Complaints complaints;
  run_threads(kLenders, [&](unsigned i) {
    auto complaint = lend_and_drop(channel, words, plan, process * kLenders + i + 1);
    if (complaint.empty()) return;
    words.is_over = true;
    complaints.add(std::move(complaint));
  });
  return complaints.all();
}

}  // namespace stress
