// SPDX-License-Identifier: MIT
#include <vector>

#include "mews/sync/bell_waiter.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

// The sleeper waits for one number after the other, the ringer publishes them and rings with the
// light fence. `progress`: what the sleeper says at each sleep, so that it takes up and gives up
// the habit where a scenario wants that.
class Habit final : public Scenario {
 public:
  explicit Habit(std::vector<std::uint64_t> progress) : progress_(std::move(progress)) {
    words_.add("bell", &bell_);
    words_.add("number", &number_);
    threads_.push_back({.name = "sleeper", .process = 0, .body = [this] {
                          sync::BellWaiter waiter{sync::Doorbell(bell_)};
                          for (std::uint32_t i = 0; i < progress_.size(); ++i)
                            wait(waiter, i);
                        }});
    threads_.push_back({.name = "ringer", .process = 1, .body = [this] {
                          for (std::uint32_t i = 0; i < progress_.size(); ++i) {
                            number_.store(i + 1, std::memory_order_release);
                            (void)sync::Doorbell(bell_).ring(sync::RingFence::light);
                          }
                        }});
  }
  void reset() override {
    bell_.store(0, std::memory_order_relaxed);
    number_.store(0, std::memory_order_relaxed);
  }
  void verify() override {}

 private:
  // Arms before it looks, each time: the habit is what is tested.
  void wait(sync::BellWaiter& waiter, std::uint32_t i) {
    for (;;) {
      const auto ticket = waiter.arm(sync::Sleeper::futex, progress_[i]);
      if (number_.load(std::memory_order_acquire) > i) return;
      waiter.sleep(ticket, forever);
    }
  }

  const std::vector<std::uint64_t> progress_;
  base::Atomic<std::uint32_t> bell_{0};
  base::Atomic<std::uint32_t> number_{0};
};

constexpr Bounds kBounds{.memory = Memory::buffered_heavy};

}  // namespace

TEST_CASE("often: with store buffers no wake-up is lost while a sleeper takes up the habit") {
  Habit taken_up({0, 1, 2, 3});
  require_holds("habit taken up", taken_up, kBounds);
}

TEST_CASE("often: with store buffers no wake-up is lost while a sleeper gives up the habit") {
  Habit given_up({0, 1, 2, 10'000, 20'000});
  require_holds("habit given up", given_up, kBounds);
  Habit again({0, 1, 10'000, 10'001, 10'002});
  require_holds("habit taken up again", again, kBounds);
}

TEST_CASE("often: a ringer without a fence is found", "[.][no_fence_when_often]") {
  Habit habit({0, 1, 2, 3});
  require_found("no fence when often", habit, kBounds, "sleeper sleeps for ever on bell");
}

TEST_CASE("often: saying it without the heavy fence is found", "[.][no_heavy_fence_for_often]") {
  Habit habit({0, 1, 2, 3});
  require_found("no heavy fence for often", habit, kBounds, "sleeper sleeps for ever on bell");
}

TEST_CASE("often: one that gives up the habit and not its fence is found", "[.][still_often]") {
  Habit habit({0, 1, 2, 10'000, 20'000});
  require_found("still often", habit, kBounds, "sleeper sleeps for ever on bell");
}

}  // namespace mews::model
