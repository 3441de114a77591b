// SPDX-License-Identifier: MIT
#include <array>
#include <vector>

#include "mews/os/futex.hpp"
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

// One sleeper waits for the numbers behind several bells. It arms those that are not armed still,
// pays one fence for all, looks at all, and sleeps in an event loop; what stands for the descriptor
// is a word of its own. `step`: the progress with each number.
class Many final : public Scenario {
 public:
  /// Each has a bell, and publishes so many numbers.
  struct Ringer {
    sync::RingFence fence;
    std::uint32_t numbers;
  };
  Many(std::vector<Ringer> ringers, std::uint64_t step) : count_(ringers.size()), step_(step) {
    words_.add("event", &event_);
    for (std::size_t i = 0; i < count_; ++i) {
      words_.add(std::string("bell") += static_cast<char>('0' + i), &bells_[i]);
      words_.add(std::string("number") += static_cast<char>('0' + i), &published_[i]);
    }
    threads_.push_back({.name = "sleeper", .process = 0, .body = [this] { sleeper(); }});
    for (std::size_t i = 0; i < count_; ++i) {
      threads_.push_back({.name = std::string("ringer") += static_cast<char>('0' + i),
                          .process = static_cast<int>(i) + 1,
                          .body = [this, i, ringer = ringers[i]] { ring(i, ringer); }});
      total_ += ringers[i].numbers;
    }
  }
  void reset() override {
    event_.store(0, std::memory_order_relaxed);
    for (auto& bell : bells_)
      bell.store(0, std::memory_order_relaxed);
    for (auto& number : published_)
      number.store(0, std::memory_order_relaxed);
  }
  void verify() override {}

 private:
  static constexpr auto kLoop = sync::Sleeper::event_loop;
  struct Bell {
    sync::BellWaiter waiter;
    std::uint32_t seen = 0;
    bool is_armed = false;
  };

  void ring(std::size_t i, const Ringer& ringer) {
    for (std::uint32_t number = 1; number <= ringer.numbers; ++number) {
      published_[i].store(number, std::memory_order_release);
      if (!sync::Doorbell(bells_[i]).ring(ringer.fence)) continue;
      event_.store(1, std::memory_order_release);
      (void)os::futex_wake(event_, 1);
    }
  }

  void sleeper() {
    std::vector<Bell> bells;
    for (std::size_t i = 0; i < count_; ++i)
      bells.push_back({.waiter = sync::BellWaiter(sync::Doorbell(bells_[i]))});
    for (auto left = total_; left > 0;) {
      arm(bells);
      const auto found = look(bells);
      left -= found;
      while (found == 0 && event_.exchange(0, std::memory_order_acquire) == 0)
        (void)os::futex_wait(event_, 0, forever);
    }
  }

  void arm(std::vector<Bell>& bells) {
    auto due = sync::ArmFence::full;
    for (auto& bell : bells) {
      if (bell.is_armed && bell.waiter.bell().is_still_armed(kLoop)) continue;
      bell.is_armed = true;
      const auto owed = bell.waiter.arm_one_of_many(kLoop, bell.seen * step_);
      if (owed == sync::ArmFence::heavy) due = owed;
    }
    sync::Doorbell::fence_armed(due);
  }

  // One that has something is awake there.
  std::uint32_t look(std::vector<Bell>& bells) {
    std::uint32_t found = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      auto& bell = bells[i];
      const auto number = published_[i].load(std::memory_order_acquire);
      if (number == bell.seen) continue;
      found += number - bell.seen;
      bell.seen = number;
      bell.is_armed = false;
      bell.waiter.bell().disarm(kLoop);
    }
    return found;
  }

  const std::size_t count_;
  const std::uint64_t step_;
  std::uint32_t total_ = 0;
  base::Atomic<std::uint32_t> event_{0};
  std::array<base::Atomic<std::uint32_t>, 3> bells_{};
  std::array<base::Atomic<std::uint32_t>, 3> published_{};
};

constexpr auto kLight = sync::RingFence::light;
constexpr auto kFull = sync::RingFence::full;
/// No habit comes of it.
constexpr std::uint64_t kFar = 100'000;

constexpr Bounds kBounds{.memory = Memory::buffered_heavy};
constexpr Bounds kFewer{.preemptions = 1, .most_preemptions = 2, .memory = Memory::buffered_heavy};

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

TEST_CASE("often: one fence for many bells is enough, however they are rung") {
  Many light({{kLight, 2}, {kLight, 1}}, kFar);
  require_holds("many bells, light", light, kBounds);
  Many mixed({{kLight, 2}, {kFull, 2}}, kFar);
  require_holds("many bells, light and full", mixed, kBounds);
  Many three({{kLight, 1}, {kLight, 1}, {kFull, 1}}, kFar);
  require_holds("three bells", three, kFewer);
}

TEST_CASE("often: one fence for many bells is enough while the sleeper takes up the habit") {
  Many habit({{kLight, 3}, {kLight, 1}}, 1);
  require_holds("many bells, habit", habit, kFewer);
}

TEST_CASE("often: many bells without their common fence are found", "[.][no_common_fence]") {
  Many light({{kLight, 1}, {kLight, 1}}, kFar);
  require_found("no common fence", light, kBounds, "sleeper sleeps for ever on event");
}

TEST_CASE("often: many bells, the habit taken up without the common fence, are found",
          "[.][no_common_fence_for_often]") {
  Many habit({{kLight, 3}, {kLight, 1}}, 1);
  require_found("no common fence for often", habit, kFewer, "sleeper sleeps for ever on event");
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
