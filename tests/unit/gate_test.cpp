// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/process_state.hpp"
#include "mews/sync/gate.hpp"

namespace {

using namespace std::chrono_literals;
using mews::Deadline;
using mews::sync::Gate;

constexpr std::chrono::seconds kPatience{60};

/// Something that threads wait for: tokens, each taken once.
class Tokens {
 public:
  std::optional<int> try_accept() {
    auto seen = count_.load(std::memory_order_seq_cst);
    while (seen > 0) {
      if (count_.compare_exchange_weak(seen, seen - 1, std::memory_order_seq_cst)) return seen;
    }
    return std::nullopt;
  }
  void add(int count) { count_.fetch_add(count, std::memory_order_seq_cst); }

 private:
  std::atomic<int> count_{0};
};

}  // namespace

TEST_CASE("gate: a thread that finds a result at once does not sleep") {
  Gate gate;
  bool has_slept = false;
  const auto result = gate.wait(
      kPatience, [] { return std::optional(7); }, [&](Deadline) { has_slept = true; });
  CHECK(result == 7);
  CHECK_FALSE(has_slept);
}

TEST_CASE("gate: a deadline that has passed still allows one attempt, and its answer is given") {
  Gate gate;
  int attempts = 0;
  bool has_slept = false;
  const auto result = gate.wait(
      0ms, [&] { return ++attempts, std::optional<int>(); }, [&](Deadline) { has_slept = true; });
  CHECK_FALSE(result);
  CHECK(attempts == 1);
  CHECK_FALSE(has_slept);
}

TEST_CASE("gate: the lead looks again after each sleep, until it finds something") {
  Gate gate;
  int sleeps = 0;
  const auto result = gate.wait(
      kPatience, [&] { return sleeps == 3 ? std::optional(sleeps) : std::nullopt; },
      [&](Deadline) { ++sleeps; });
  CHECK(result == 3);
}

TEST_CASE("gate: the sleep is given the deadline of its caller") {
  Gate gate;
  const Deadline deadline = Deadline::Clock::now() + 60s;
  Deadline::Clock::time_point seen{};
  bool is_there = false;
  static_cast<void>(gate.wait(
      deadline, [&] { return is_there; },
      [&](Deadline until) {
        seen = until.at();
        is_there = true;
      }));
  CHECK(seen == deadline.at());
}

TEST_CASE("gate: only one of many waiters sleeps outside, and all are served when it wakes") {
  Gate gate;
  Tokens tokens;
  std::atomic<int> asleep{0};
  std::atomic<int> most_asleep{0};
  std::atomic<int> served{0};
  std::atomic<bool> is_open{false};
  const auto sleep = [&](Deadline) {
    const int now = asleep.fetch_add(1) + 1;
    if (now > most_asleep.load()) most_asleep.store(now);
    while (!is_open.load())
      std::this_thread::yield();
    asleep.fetch_sub(1);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      if (gate.wait(
              kPatience, [&] { return tokens.try_accept(); }, sleep))
        served.fetch_add(1);
    });
  }
  while (asleep.load() == 0)
    std::this_thread::yield();
  tokens.add(6);
  is_open.store(true);
  for (auto& thread : threads)
    thread.join();
  CHECK(served.load() == 6);
  CHECK(most_asleep.load() == 1);
}

TEST_CASE("gate: a change in this process serves a waiter while the lead sleeps on") {
  Gate gate;
  Tokens tokens;
  std::atomic<bool> is_lead_asleep{false};
  std::atomic<bool> may_lead_wake{false};
  std::atomic<bool> is_follower_served{false};
  std::thread lead([&] {
    static_cast<void>(gate.wait(
        mews::forever, [&] { return may_lead_wake.load(); },
        [&](Deadline) {
          is_lead_asleep.store(true);
          while (!may_lead_wake.load())
            std::this_thread::yield();
        }));
  });
  while (!is_lead_asleep.load())
    std::this_thread::yield();
  std::atomic<pid_t> follower_id{0};
  std::thread follower([&] {
    const auto attempt = [&] {
      follower_id.store(::gettid());
      return tokens.try_accept();
    };
    const auto token = gate.wait(mews::forever, attempt, [](Deadline) {});
    is_follower_served.store(token.has_value());
  });
  // Behind the lead, on the gate's own condition.
  CHECK(mews_test::is_seen_asleep(follower_id));
  tokens.add(1);
  gate.notify();
  const Deadline patience(20s);
  while (!is_follower_served.load() && !patience.has_passed())
    std::this_thread::yield();
  CHECK(is_follower_served.load());
  may_lead_wake.store(true);
  lead.join();
  follower.join();
}

TEST_CASE("gate: a waiter whose deadline passes leaves, and the lead stays") {
  Gate gate;
  std::atomic<bool> is_lead_asleep{false};
  std::atomic<bool> is_open{false};
  std::thread lead([&] {
    static_cast<void>(gate.wait(
        mews::forever, [&] { return is_open.load(); },
        [&](Deadline) {
          is_lead_asleep.store(true);
          while (!is_open.load())
            std::this_thread::yield();
        }));
  });
  while (!is_lead_asleep.load())
    std::this_thread::yield();
  bool has_slept = false;
  const auto nothing = gate.wait(
      10ms, [] { return std::optional<int>(); }, [&](Deadline) { has_slept = true; });
  CHECK_FALSE(nothing);
  CHECK_FALSE(has_slept);
  is_open.store(true);
  lead.join();
}

TEST_CASE("gate: a thread that leaves by an exception is neither a waiter nor the lead any more") {
  Gate gate;
  struct Failure {};
  const auto nothing = [] { return std::optional<int>(); };
  CHECK_THROWS_AS(gate.wait(
                      kPatience, []() -> std::optional<int> { throw Failure(); }, [](Deadline) {}),
                  Failure);
  CHECK_THROWS_AS(gate.wait(kPatience, nothing, [](Deadline) { throw Failure(); }), Failure);
  int sleeps = 0;
  const auto result = gate.wait(
      kPatience, [&] { return sleeps == 1 ? std::optional(sleeps) : std::nullopt; },
      [&](Deadline) { ++sleeps; });
  CHECK(result == 1);
}

TEST_CASE("gate: a wake-up of a thread that leaves by an exception serves another thread") {
  Gate gate;
  struct Failure {};
  std::atomic<bool> has_failed{false};
  std::atomic<bool> is_failing_asleep{false};
  std::atomic<bool> may_fail{false};
  std::thread failing([&] {
    try {
      static_cast<void>(gate.wait(
          mews::forever, [] { return std::optional<int>(); },
          [&](Deadline) {
            is_failing_asleep.store(true);
            while (!may_fail.load())
              std::this_thread::yield();
            throw Failure();
          }));
    } catch (const Failure&) {
      has_failed.store(true);
    }
  });
  while (!is_failing_asleep.load())
    std::this_thread::yield();
  // Sleeps behind the lead at first, and then is the lead.
  std::atomic<int> sleeps{0};
  std::atomic<pid_t> follower_id{0};
  std::thread follower([&] {
    const auto attempt = [&] {
      follower_id.store(::gettid());
      return sleeps.load() > 0;
    };
    static_cast<void>(gate.wait(20s, attempt, [&](Deadline) { sleeps.fetch_add(1); }));
  });
  CHECK(mews_test::is_seen_asleep(follower_id));
  may_fail.store(true);
  failing.join();
  follower.join();
  CHECK(has_failed.load());
  CHECK(sleeps.load() == 1);
}
