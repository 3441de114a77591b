// SPDX-License-Identifier: MIT
#include "model/checker.hpp"
#include "mews/base/atomic.hpp"
#include "mews/os/futex.hpp"
#include "mews/sync/lock.hpp"
#include "model/support.hpp"

// The checker checked: with bugs of the text book, and with the numbers of schedules that can be
// counted by hand.
namespace mews::model {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

enum class Increment : std::uint8_t { atomic, torn };
enum class Fence : std::uint8_t { none, full };
enum class Order : std::uint8_t { same, opposite };

class Counter final : public Scenario {
 public:
  explicit Counter(Increment increment) {
    words_.add("counter", &counter_);
    const auto body = [this, increment] {
      if (increment == Increment::atomic) {
        counter_.fetch_add(1, kRelaxed);
      } else {
        counter_.store(counter_.load(kRelaxed) + 1, kRelaxed);
      }
    };
    threads_ = {{.name = "a", .process = 0, .body = body},
                {.name = "b", .process = 1, .body = body}};
  }
  void reset() override { counter_.store(0, kRelaxed); }
  void verify() override { expect(counter_.load(kRelaxed) == 2, "an increment is lost"); }

 private:
  base::Atomic<std::uint32_t> counter_{0};
};

// Each stores to a word of its own, then loads the other's: one of them must see a store.
class StoreThenLoad final : public Scenario {
 public:
  explicit StoreThenLoad(Fence fence) {
    words_.add("x", &words_of_[0]);
    words_.add("y", &words_of_[1]);
    for (const std::size_t i : {0u, 1u}) {
      threads_.push_back(
          {.name = i == 0 ? "a" : "b", .process = static_cast<int>(i), .body = [this, i, fence] {
             words_of_[i].store(1, kRelaxed);
             if (fence == Fence::full) base::full_fence();
             seen_[i] = words_of_[1 - i].load(kRelaxed);
           }});
    }
  }
  void reset() override {
    for (auto& word : words_of_)
      word.store(0, kRelaxed);
  }
  void verify() override { expect(seen_[0] + seen_[1] > 0, "neither saw the other"); }

 private:
  base::Atomic<std::uint32_t> words_of_[2];
  std::uint32_t seen_[2] = {};
};

// Takes two locks, in one order or in opposite ones.
class TwoLocks final : public Scenario {
 public:
  explicit TwoLocks(Order order) {
    const auto body = [this](int first) {
      locks_[first].lock();
      locks_[1 - first].lock();
      locks_[1 - first].unlock();
      locks_[first].unlock();
    };
    threads_ = {{.name = "a", .process = 0, .body = [body] { body(0); }},
                {.name = "b", .process = 1, .body = [=] { body(order == Order::same ? 0 : 1); }}};
  }
  void reset() override {}
  void verify() override {}

 private:
  sync::Mutex locks_[2];
};

// Counts who was killed where: a store is never half done, and each prefix of them is seen.
class ThreeStores final : public Scenario {
 public:
  ThreeStores() {
    words_.add("word", &word_);
    threads_ = {{.name = "a",
                 .process = 1,
                 .body =
                     [this] {
                       for (std::uint32_t i = 1; i <= 3; ++i)
                         word_.store(i, kRelaxed);
                     },
                 .may_crash = true},
                {.name = "watcher",
                 .process = 0,
                 .body = [this] { seen_[word_.load(kRelaxed)] = true; },
                 .recovers = 1}};
  }
  void reset() override { word_.store(0, kRelaxed); }
  void verify() override {}
  [[nodiscard]] bool has_seen_all() const { return seen_[0] && seen_[1] && seen_[2] && seen_[3]; }

 private:
  base::Atomic<std::uint32_t> word_{0};
  bool seen_[4] = {};
};

}  // namespace

TEST_CASE("checker: finds an increment in two steps, and passes one in one") {
  Counter torn(Increment::torn);
  const auto report = explore(torn, {.preemptions = 2});
  CHECK(report.violation == "an increment is lost");
  CHECK(report.schedules.size() == 2);  // none is lost without a preemption
  CHECK(replay(torn, {}, report.schedule).violation == report.violation);
  CHECK(replay(torn, {}, "a:9 b:9").is_ok);
  Counter whole(Increment::atomic);
  CHECK(explore(whole, {.preemptions = 2}).is_ok);
}

TEST_CASE("checker: runs every schedule within the bound once") {
  // One step each. Without preemption: a first or b first. With one: the first may lose the
  // processor before its step as well.
  Counter counter(Increment::atomic);
  const auto report = explore(counter, {.preemptions = 1});
  REQUIRE(report.is_ok);
  CHECK(report.schedules[0] == 2);
  CHECK(report.schedules[1] == 4);
}

TEST_CASE("checker: finds the deadlock of two locks taken in opposite orders") {
  TwoLocks opposite(Order::opposite);
  CHECK_FALSE(explore(opposite, {}).is_ok);
  TwoLocks ordered(Order::same);
  CHECK(explore(ordered, {}).is_ok);
}

TEST_CASE("checker: store buffers show the missing fence, and a fence hides it") {
  StoreThenLoad bare(Fence::none);
  CHECK(explore(bare, {}).is_ok);  // sequentially consistent: nothing to see
  CHECK_FALSE(explore(bare, {.memory = Memory::buffered}).is_ok);
  StoreThenLoad fenced(Fence::full);
  CHECK(explore(fenced, {.memory = Memory::buffered}).is_ok);
}

TEST_CASE("checker: kills before every store, and starts the recovery after it") {
  ThreeStores scenario;
  REQUIRE(explore(scenario, {.preemptions = 0, .crashes = 1}).is_ok);
  CHECK(scenario.has_seen_all());
}

}  // namespace mews::model
