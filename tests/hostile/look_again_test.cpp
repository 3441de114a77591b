// SPDX-License-Identifier: MIT
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <climits>
#include <functional>
#include <thread>

#include "../support/catch.hpp"
#include "stage.hpp"

using namespace hostile_test;

namespace {

using Bell = mews::base::Atomic<std::uint32_t>;

/// How a plugin keeps the host asleep on another plugin's lane.
enum class Trick { clear, requeue };

/// Plays it again and again, from the constructor to the destructor.
class Trickster {
 public:
  Trickster(Trick trick, Bell& bell, Bell& elsewhere) {
    thread_ = std::thread([this, trick, &bell, &elsewhere] {
      while (!is_over_) {
        if (trick == Trick::clear) {
          bell.fetch_and(~3u, std::memory_order_relaxed);
        } else {
          ::syscall(SYS_futex, &bell, FUTEX_REQUEUE, 0, INT_MAX, &elsewhere, 0);
        }
        ++rounds_;
        std::this_thread::sleep_for(100us);
      }
    });
  }
  Trickster(const Trickster&) = delete;
  Trickster& operator=(const Trickster&) = delete;
  ~Trickster() {
    is_over_ = true;
    thread_.join();
  }
  /// The trick has been played several times from now on.
  void wait_some() const {
    for (const auto end = rounds_ + 50; rounds_ < end;)
      std::this_thread::sleep_for(1ms);
  }

 private:
  std::atomic<bool> is_over_{false};
  std::atomic<std::uint64_t> rounds_{0};
  std::thread thread_;
};

mews::CreateOptions options(mews::Watcher watcher = mews::Watcher::thread) {
  auto options = stage_arena();
  options.local.watcher = watcher;
  options.local.spin_limit = std::chrono::nanoseconds(0);
  return options;
}

/// Waits until one of them can be read; 0 or 1, or -1 when patience ends.
int readable_of(std::array<int, 2> fds) {
  std::array<pollfd, 2> entries{{{.fd = fds[0], .events = POLLIN, .revents = 0},
                                 {.fd = fds[1], .events = POLLIN, .revents = 0}}};
  constexpr int kMs = 1000 * static_cast<int>(kPatience.count());
  if (::poll(entries.data(), entries.size(), kMs) <= 0) return -1;
  return entries[0].revents != 0 ? 0 : 1;
}

}  // namespace

TEST_CASE("look again: a host receives from its neighbour whatever a plugin does to that bell") {
  const auto trick = GENERATE(Trick::clear, Trick::requeue);
  const bool is_for_ever = GENERATE(false, true);
  Stage stage(options());
  const auto lane = mews::LaneId{2 * stage.good().peer().value() - 1};
  const Trickster trickster(trick, stage.arena().lane(lane).data_bell,
                            stage.arena().lane(stage.lane_to_host()).data_bell);
  std::thread honest([&] {
    trickster.wait_some();  // the host is asleep
    must(stage.good_to_host().send(bytes_of("news")));
  });
  // The sender rings a bell that is cleared; nothing else ever wakes this thread.
  const auto received =
      is_for_ever ? stage.from_good().receive(mews::forever) : stage.from_good().receive(kPatience);
  honest.join();
  CHECK(outcome(received) == "ok");
}

TEST_CASE("look again: a host gets room whatever a plugin does to its neighbour's bell") {
  const auto trick = GENERATE(Trick::clear, Trick::requeue);
  Stage stage(options());
  const auto lane = mews::LaneId{2 * stage.good().peer().value() - 2};
  const Trickster trickster(trick, stage.arena().lane(lane).space_bell,
                            stage.arena().lane(stage.lane_to_host()).space_bell);
  while (stage.from_good().try_send(bytes_of("x"))) {
  }
  std::thread honest([&] {
    trickster.wait_some();
    while (stage.good_to_host().try_receive()) {
    }
  });
  CHECK(outcome(stage.from_good().send(bytes_of("y"), {}, kPatience)) == "ok");
  honest.join();
}

TEST_CASE("look again: a host's event loop is told what its bell did not tell it") {
  const auto watcher = GENERATE(mews::Watcher::thread, mews::Watcher::none);
  Stage stage(options(watcher));
  const auto lane = mews::LaneId{2 * stage.good().peer().value() - 1};
  const Trickster trickster(Trick::clear, stage.arena().lane(lane).data_bell,
                            stage.arena().lane(lane).space_bell);
  auto& channel = stage.from_good();
  for (int round = 0; round < 2; ++round) {
    REQUIRE(must(channel.arm_event()));
    std::thread honest([&] {
      trickster.wait_some();
      must(stage.good_to_host().send(bytes_of("news")));
    });
    int which = 0;
    do {
      which = readable_of({channel.event_fd(), stage.host().watch_fd()});
      // The program's own part, where there is no watcher thread.
      if (which == 1 && watcher == mews::Watcher::none) stage.host().process_events();
    } while (which == 1);
    honest.join();
    CHECK(which == 0);
    CHECK(outcome(channel.try_receive()) == "ok");
    CHECK(outcome(channel.try_receive()) == "would_block");
  }
}

TEST_CASE("look again: without an armed event loop the watch has nothing to look for") {
  Stage stage(options(mews::Watcher::none));
  auto& channel = stage.from_good();
  REQUIRE(must(channel.arm_event()));
  must(stage.good_to_host().send(bytes_of("news")));
  must(channel.receive(kPatience));
  // The timer that arming has started fires once more, finds no loop, and then stands still.
  const auto is_due = [&](std::chrono::milliseconds patience) {
    pollfd entry{.fd = stage.host().watch_fd(), .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, static_cast<int>(patience.count())) == 1;
  };
  REQUIRE(is_due(kPatience));
  stage.host().process_events();
  CHECK_FALSE(is_due(3s));
}
