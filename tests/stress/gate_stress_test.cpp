// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "../support/catch.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/gate.hpp"
#include "stress_support.hpp"

namespace {

using mews::Deadline;
using mews::sync::Doorbell;
using mews::sync::Gate;
using mews_test::between;
using mews_test::Random;

/// Tokens behind a gate and a bell, as free slabs are: who wants one and finds none waits.
class Counter {
 public:
  explicit Counter(bool has_notify) : has_notify_(has_notify) {}

  [[nodiscard]] bool take(Deadline deadline) {
    // What the lead finds at its second look is what its next attempt gives.
    bool found = false;
    const auto attempt = [&] { return std::exchange(found, false) || try_accept(); };
    const auto sleep = [&](Deadline until) {
      const auto ticket = bell_.arm(mews::sync::Sleeper::futex, mews::sync::ArmFence::heavy);
      found = try_accept();
      if (!found) bell_.sleep(ticket, until);
    };
    return gate_.wait(deadline, attempt, sleep);
  }

  void give() {
    tokens_.fetch_add(1, std::memory_order_seq_cst);
    if (has_notify_) gate_.notify();
    static_cast<void>(bell_.ring(mews::sync::RingFence::after_exchange));
  }

 private:
  [[nodiscard]] bool try_accept() {
    auto seen = tokens_.load(std::memory_order_seq_cst);
    while (seen > 0) {
      if (tokens_.compare_exchange_weak(seen, seen - 1, std::memory_order_seq_cst)) return true;
    }
    return false;
  }

  bool has_notify_;
  std::atomic<std::uint32_t> tokens_{0};
  mews::base::Atomic<std::uint32_t> word_{0};
  Doorbell bell_{word_};
  Gate gate_;
};

struct Load {
  unsigned threads;
  std::uint32_t tokens;
  std::uint64_t rounds;  ///< of each thread
  bool has_notify;
};

/// Fewer tokens than threads: all the time somebody waits for what somebody else gives back. A
/// wake-up that is lost for good shows as a wait to the deadline.
void circulate(const Load& load) {
  const auto seed = mews_test::make_seed("gate stress");
  stress::Complaints complaints;
  Counter counter(load.has_notify);
  for (std::uint32_t i = 0; i < load.tokens; ++i)
    counter.give();
  stress::run_threads(load.threads, [&](unsigned me) {
    Random random(seed + me);
    for (std::uint64_t i = 0; i < load.rounds && !complaints.any(); ++i) {
      // Some leave early, as a waiter with a short deadline does, and must not take a wake-up
      // along.
      if (between(random, 0, 7) == 0) {
        if (!counter.take(std::chrono::microseconds(between(random, 0, 50)))) continue;
      } else if (!counter.take(stress::kPatience)) {
        complaints.add("round " + std::to_string(i) + ": a wake-up was lost");
        return;
      }
      if (between(random, 0, 15) == 0) std::this_thread::yield();
      counter.give();
    }
  });
  CHECK(complaints.all() == "");
}

}  // namespace

TEST_CASE("gate: no wake-up is lost among many threads that want few things") {
  circulate({.threads = 8, .tokens = 2, .rounds = mews_test::scaled(40'000), .has_notify = true});
}

TEST_CASE("gate: no wake-up is lost when all want the same thing") {
  circulate({.threads = 6, .tokens = 1, .rounds = mews_test::scaled(20'000), .has_notify = true});
}

TEST_CASE("gate: the lead alone passes every wake-up from outside on") {
  circulate({.threads = 6, .tokens = 2, .rounds = mews_test::scaled(60'000), .has_notify = false});
}
