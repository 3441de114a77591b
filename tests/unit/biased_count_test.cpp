// SPDX-License-Identifier: MIT
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/sync/biased_count.hpp"

namespace {

using mews::sync::BiasedCount;

template <class Body>
auto elsewhere(Body&& body) {
  std::optional<decltype(body())> result;
  std::thread thread([&] { result.emplace(body()); });
  thread.join();
  return *result;
}

void with_and_without_bias(void (*body)(BiasedCount&)) {
  for (const bool is_biased : {false, true}) {
    INFO("light fence: " << is_biased);
    if (is_biased) static_cast<void>(mews::os::register_light_fence());
    BiasedCount count;
    body(count);
  }
}

}  // namespace

TEST_CASE("biased count: without references the owner is the last one") {
  with_and_without_bias([](BiasedCount& count) { CHECK(count.close()); });
}

TEST_CASE("biased count: references that came and went leave the owner the last one") {
  with_and_without_bias([](BiasedCount& count) {
    for (int i = 0; i < 10; ++i) {
      count.add();
      REQUIRE_FALSE(count.drop());
    }
    CHECK(count.close());
  });
}

TEST_CASE("biased count: after the owner the last reference is the last one") {
  with_and_without_bias([](BiasedCount& count) {
    count.add();
    count.add();
    CHECK_FALSE(count.close());
    CHECK_FALSE(count.drop());
    CHECK(count.drop());
  });
}

TEST_CASE("biased count: what one thread adds another may drop") {
  with_and_without_bias([](BiasedCount& count) {
    count.add();  // biased to this thread
    count.add();
    REQUIRE_FALSE(elsewhere([&] { return count.drop(); }));
    REQUIRE_FALSE(elsewhere([&] { return count.drop(); }));
    REQUIRE_FALSE(elsewhere([&] { return (count.add(), count.add(), count.drop()); }));
    CHECK_FALSE(elsewhere([&] { return count.close(); }));
    CHECK(count.drop());
  });
}

TEST_CASE("biased count: references that a caller counted by itself count as all others do") {
  with_and_without_bias([](BiasedCount& count) {
    count.add();
    count.add(-1);  // of the one above, dropped elsewhere
    count.add(2);
    CHECK_FALSE(count.close());
    CHECK_FALSE(count.drop());
    CHECK(count.drop());
  });
}

TEST_CASE("biased count: of many threads exactly one is told that it is the last") {
  static_cast<void>(mews::os::register_light_fence());
  constexpr int kRounds = 200;
  constexpr int kThreads = 3;
  for (int round = 0; round < kRounds; ++round) {
    BiasedCount count;
    std::atomic<int> last{0};
    count.add();  // this thread's: the bias, too
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
      count.add();
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 20; ++n) {
          count.add();
          last += count.drop() ? 1 : 0;
        }
        last += count.drop() ? 1 : 0;
      });
    }
    threads.emplace_back([&] { last += count.close() ? 1 : 0; });
    for (int n = 0; n < 20; ++n) {
      count.add();
      last += count.drop() ? 1 : 0;
    }
    last += count.drop() ? 1 : 0;
    for (auto& thread : threads)
      thread.join();
    REQUIRE(last == 1);
  }
}
