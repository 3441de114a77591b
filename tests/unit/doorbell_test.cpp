// SPDX-License-Identifier: MIT
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/process_state.hpp"
#include "../support/random.hpp"
#include "mews/sync/doorbell.hpp"

namespace {

using mews::os::FutexWait;
using mews::sync::ArmFence;
using mews::sync::Doorbell;
using mews::sync::RingFence;
using mews::sync::Sleeper;

struct Bell {
  mews::base::Atomic<std::uint32_t> word{0};
  Doorbell bell{word};
  [[nodiscard]] std::uint32_t value() const { return word.load(std::memory_order_relaxed); }
};

/// A thread that sleeps at a bell. It arms it first, so it makes no other call that sleeps.
class Asleep {
 public:
  explicit Asleep(const Doorbell& bell)
      : thread_([this, &bell] {
          const auto ticket = bell.arm(Sleeper::futex, ArmFence::heavy);
          id_ = ::gettid();
          result_ = bell.sleep(ticket, kPatience);
        }) {
    is_asleep_ = mews_test::is_seen_asleep(id_);
  }
  Asleep(const Asleep&) = delete;
  Asleep& operator=(const Asleep&) = delete;
  ~Asleep() {
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] bool was_asleep() const noexcept { return is_asleep_; }
  /// Whether it was woken, and not by the end of its patience.
  [[nodiscard]] bool is_woken() {
    thread_.join();
    return result_ == FutexWait::woken;
  }

 private:
  static constexpr std::chrono::seconds kPatience{20};

  std::atomic<pid_t> id_{0};
  bool is_asleep_ = false;
  FutexWait result_ = FutexWait::timed_out;
  std::thread thread_;
};

constexpr RingFence kFences[] = {RingFence::light, RingFence::full, RingFence::after_exchange};
constexpr std::chrono::seconds kPatience{60};

/// Threads that sleep on a bell as none of the library's would: each until one wake, without
/// arming. Too many for threads of the usual stacks.
class Crowd {
 public:
  Crowd(const Bell& bell, int count) : bell_(bell) {
    pthread_attr_t small;
    ::pthread_attr_init(&small);
    ::pthread_attr_setstacksize(&small, 64 << 10);
    for (int i = 0; i < count; ++i) {
      pthread_t thread{};
      if (::pthread_create(&thread, &small, sleep_once, this) == 0) threads_.push_back(thread);
    }
    ::pthread_attr_destroy(&small);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  ~Crowd() {
    is_over_ = true;
    // One that is on its way to sleep is woken by the next round.
    for (const auto thread : threads_) {
      while (::pthread_tryjoin_np(thread, nullptr) != 0) {
        requeue(elsewhere_, bell_.word);
        (void)mews::os::futex_wake(bell_.word, INT_MAX);
        std::this_thread::yield();
      }
    }
  }

  [[nodiscard]] int size() const { return static_cast<int>(threads_.size()); }
  /// How many sleep on the bell, by the kernel's word: it counts those that it moves.
  [[nodiscard]] int asleep() {
    const int moved = requeue(bell_.word, elsewhere_);
    requeue(elsewhere_, bell_.word);
    return moved;
  }
  void wait_until_asleep() {
    while (asleep() < size())
      std::this_thread::yield();
  }

 private:
  using Word = mews::base::Atomic<std::uint32_t>;

  static int requeue(const Word& from, const Word& to) {
    return static_cast<int>(::syscall(SYS_futex, &from, FUTEX_REQUEUE, 0, INT_MAX, &to, 0));
  }
  static void* sleep_once(void* self) {
    auto& crowd = *static_cast<Crowd*>(self);
    const auto& word = crowd.bell_.word;
    while (!crowd.is_over_ && mews::os::futex_wait(word, word.load(std::memory_order_relaxed),
                                                   mews::forever) != FutexWait::woken) {
    }
    return nullptr;
  }

  const Bell& bell_;
  Word elsewhere_{0};
  std::atomic<bool> is_over_{false};
  std::vector<pthread_t> threads_;
};

}  // namespace

TEST_CASE("doorbell: ringing where nobody waits changes nothing") {
  for (const auto fence : kFences) {
    Bell b;
    CHECK_FALSE(b.bell.ring(fence));
    CHECK(b.value() == 0);
  }
}

TEST_CASE("doorbell: a ring after arming keeps the sleeper from sleeping") {
  for (const auto fence : kFences) {
    Bell b;
    const auto ticket = b.bell.arm(Sleeper::futex, ArmFence::heavy);
    CHECK(ticket == b.value());
    CHECK_FALSE(b.bell.ring(fence));
    CHECK(b.bell.sleep(ticket, kPatience) == FutexWait::changed);
  }
}

TEST_CASE("doorbell: a ring disarms the bell, so that the next one costs nothing") {
  Bell b;
  static_cast<void>(b.bell.arm(Sleeper::futex, ArmFence::heavy));
  CHECK_FALSE(b.bell.ring(RingFence::full));
  const auto after = b.value();
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK(b.value() == after);
}

TEST_CASE("doorbell: the ringer is told once that an event loop is to be signalled") {
  Bell b;
  static_cast<void>(b.bell.arm(Sleeper::event_loop, ArmFence::heavy));
  CHECK(b.bell.ring(RingFence::full));
  CHECK_FALSE(b.bell.ring(RingFence::full));
}

TEST_CASE("doorbell: a futex sleeper and an event loop may wait at the same bell") {
  Bell b;
  const auto first = b.bell.arm(Sleeper::futex, ArmFence::heavy);
  const auto second = b.bell.arm(Sleeper::event_loop, ArmFence::heavy);
  CHECK(b.bell.sleep(first, kPatience) == FutexWait::changed);
  CHECK(b.bell.ring(RingFence::full));
  CHECK(b.bell.sleep(second, kPatience) == FutexWait::changed);
}

TEST_CASE("doorbell: arming again after a ring gives another ticket") {
  Bell b;
  const auto first = b.bell.arm(Sleeper::futex, ArmFence::heavy);
  CHECK(b.bell.arm(Sleeper::futex, ArmFence::heavy) == first);
  static_cast<void>(b.bell.ring(RingFence::full));
  CHECK(b.bell.arm(Sleeper::futex, ArmFence::heavy) != first);
}

TEST_CASE("doorbell: a bell that was not rung lets the deadline pass") {
  Bell b;
  const auto ticket = b.bell.arm(Sleeper::futex, ArmFence::heavy);
  CHECK(b.bell.sleep(ticket, std::chrono::milliseconds(0)) == FutexWait::timed_out);
  CHECK(b.bell.sleep(ticket, std::chrono::milliseconds(1)) == FutexWait::timed_out);
}

TEST_CASE("doorbell: a ring wakes who sleeps") {
  for (const auto fence : kFences) {
    Bell b;
    Asleep sleeper(b.bell);
    REQUIRE(sleeper.was_asleep());
    CHECK_FALSE(b.bell.ring(fence));
    CHECK(sleeper.is_woken());
  }
}

TEST_CASE("doorbell: a ring wakes all who sleep") {
  Bell b;
  Asleep one(b.bell);
  Asleep two(b.bell);
  REQUIRE((one.was_asleep() && two.was_asleep()));
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK(one.is_woken());
  CHECK(two.is_woken());
}

TEST_CASE("doorbell: ringing always wakes a sleeper whose bit somebody cleared and did not wake") {
  Bell b;
  Asleep sleeper(b.bell);
  REQUIRE(sleeper.was_asleep());
  b.word.fetch_and(~std::uint32_t{3}, std::memory_order_relaxed);
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK_FALSE(b.bell.ring_always());
  CHECK(sleeper.is_woken());
}

TEST_CASE("doorbell: ringing always changes the word, and tells of an event loop") {
  Bell b;
  const auto before = b.value();
  CHECK_FALSE(b.bell.ring_always());
  CHECK(b.value() != before);
  static_cast<void>(b.bell.arm(Sleeper::event_loop, ArmFence::heavy));
  CHECK(b.bell.ring_always());
}

TEST_CASE("doorbell: the sequence may run over without touching the armed bits") {
  Bell b;
  b.word.store(~std::uint32_t{7}, std::memory_order_relaxed);
  const auto ticket = b.bell.arm(Sleeper::futex, ArmFence::heavy);
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK(b.value() == 0);
  CHECK(b.bell.sleep(ticket, kPatience) == FutexWait::changed);
}

TEST_CASE("doorbell: one ring wakes so many and no more, and the bell stays armed for the rest") {
  Bell b;
  Crowd crowd(b, static_cast<int>(mews_test::scaled(2'000)));
  REQUIRE(crowd.size() > 3 * Doorbell::kMostWoken);
  crowd.wait_until_asleep();
  static_cast<void>(b.bell.arm(Sleeper::futex, ArmFence::heavy));
  for (int rings = 1; rings <= 3; ++rings) {
    CHECK_FALSE(b.bell.ring(RingFence::full));
    // Who is woken does not come back.
    CHECK(crowd.asleep() == crowd.size() - rings * Doorbell::kMostWoken);
  }
  (void)b.bell.ring_always();
  CHECK(crowd.asleep() == 0);
}

TEST_CASE("doorbell: an honest sleeper behind a crowd is woken after as many rings as it takes") {
  Bell b;
  constexpr int kAhead = 5 * Doorbell::kMostWoken / 2;
  Crowd crowd(b, kAhead);
  crowd.wait_until_asleep();
  std::atomic<bool> is_published{false};
  std::atomic<bool> is_awake{false};
  std::thread honest([&] {
    for (;;) {
      const auto ticket = b.bell.arm(Sleeper::futex, ArmFence::heavy);
      if (is_published) break;
      (void)b.bell.sleep(ticket, mews::forever);
    }
    is_awake = true;
  });
  while (crowd.asleep() <= kAhead)
    std::this_thread::yield();
  is_published = true;
  for (int rings = 0; rings < 3; ++rings)
    (void)b.bell.ring(RingFence::full);
  CHECK(crowd.asleep() == 0);
  honest.join();
  CHECK(is_awake);
}

TEST_CASE("doorbell: few sleepers are all woken by one ring, which disarms the bell") {
  Bell b;
  Crowd crowd(b, Doorbell::kMostWoken - 1);
  crowd.wait_until_asleep();
  static_cast<void>(b.bell.arm(Sleeper::futex, ArmFence::heavy));
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK(crowd.asleep() == 0);
  const auto after = b.value();
  CHECK_FALSE(b.bell.ring(RingFence::full));
  CHECK(b.value() == after);
}

TEST_CASE("doorbell: that somebody sleeps often outlives arming and ringing, and wakes nobody") {
  Bell b;
  static_cast<void>(b.bell.arm_often(Sleeper::futex));
  CHECK(b.bell.is_armed(RingFence::light));
  CHECK_FALSE(b.bell.ring(RingFence::light));
  for (const auto fence : kFences) {
    CHECK_FALSE(b.bell.is_armed(fence));
    CHECK(b.bell.may_need_ring());
    const auto before = b.value();
    CHECK_FALSE(b.bell.ring(fence));
    CHECK(b.value() == before);
  }
  static_cast<void>(b.bell.ring_always());
  CHECK(b.bell.may_need_ring());
  b.bell.say_seldom();
  CHECK_FALSE(b.bell.may_need_ring());
}

TEST_CASE("doorbell: a ring between arming and sleep counts where somebody sleeps often, too") {
  Bell b;
  static_cast<void>(b.bell.arm_often(Sleeper::futex));
  static_cast<void>(b.bell.ring(RingFence::light));
  const auto ticket = b.bell.arm(Sleeper::futex, ArmFence::full);
  static_cast<void>(b.bell.ring(RingFence::light));
  CHECK(b.bell.sleep(ticket, mews::forever) == FutexWait::changed);
}

TEST_CASE("doorbell: disarming tells whether a ring has come, and leaves other sleepers armed") {
  Bell b;
  static_cast<void>(b.bell.arm(Sleeper::event_loop, ArmFence::heavy));
  static_cast<void>(b.bell.arm(Sleeper::futex, ArmFence::heavy));
  CHECK(b.bell.is_still_armed(Sleeper::event_loop));
  CHECK(b.bell.disarm(Sleeper::event_loop));
  CHECK_FALSE(b.bell.is_still_armed(Sleeper::event_loop));
  CHECK_FALSE(b.bell.disarm(Sleeper::event_loop));
  CHECK(b.bell.is_armed(RingFence::full));
  CHECK_FALSE(b.bell.ring(RingFence::full));
  static_cast<void>(b.bell.arm(Sleeper::event_loop, ArmFence::heavy));
  CHECK(b.bell.ring(RingFence::full));
  CHECK_FALSE(b.bell.disarm(Sleeper::event_loop));
}
