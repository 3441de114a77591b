// SPDX-License-Identifier: MIT
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include <atomic>
#include <string>
#include <thread>

#include "../support/catch.hpp"
#include "../support/process_state.hpp"
#include "../support/random.hpp"
#include "mews/os/unique_fd.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

enum class Loop { poll, epoll, edge_triggered };

/// Waits for one descriptor in one of three ways.
class Poller {
 public:
  Poller(Loop loop, int fd) : loop_(loop), fd_(fd), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event{};
    event.events = loop == Loop::edge_triggered ? EPOLLIN | EPOLLET : EPOLLIN;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      throw std::runtime_error("epoll");
  }
  /// False when patience ends.
  [[nodiscard]] bool wait() const {
    constexpr int kMs = 1000 * static_cast<int>(kPatience.count());
    if (loop_ == Loop::poll) {
      pollfd entry{.fd = fd_, .events = POLLIN, .revents = 0};
      return ::poll(&entry, 1, kMs) == 1;
    }
    epoll_event event{};
    return ::epoll_wait(epoll_.get(), &event, 1, kMs) == 1;
  }

 private:
  Loop loop_;
  int fd_;
  mews::os::UniqueFd epoll_;
};

/// Receives `count` messages as an event loop does; what went wrong, or nothing.
std::string receive_by_events(mews::Channel& channel, Loop loop, std::uint64_t count,
                              std::atomic<std::uint64_t>& received) {
  const Poller poller(loop, channel.event_fd());
  for (std::uint64_t i = 0; i < count;) {
    const auto message = channel.try_receive();
    if (message) {
      if (message->correlation() != i) return "message " + std::to_string(i) + " is missing";
      received.store(++i, std::memory_order_relaxed);
      continue;
    }
    if (message.error().code() != mews::ErrorCode::would_block) return message.error().message();
    const auto is_armed = channel.arm_event();
    if (!is_armed) return is_armed.error().message();
    if (*is_armed && !poller.wait()) return "no wake-up for message " + std::to_string(i);
  }
  return {};
}

/// `fd` has become readable, or patience has ended.
bool is_readable(int fd) {
  return Poller(Loop::poll, fd).wait();
}

}  // namespace

TEST_CASE("event: an event loop misses no message, sent while it arms, sleeps, or is busy") {
  const auto loop = GENERATE(Loop::poll, Loop::epoll, Loop::edge_triggered);
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("sender"));
  const auto count = mews_test::scaled(40'000);
  std::atomic<std::uint64_t> received{0};
  std::atomic<bool> is_over{false};
  std::string sent;
  std::thread sender([&, &channel = guest.channel()] {
    for (std::uint64_t i = 0; i < count && sent.empty(); ++i) {
      const auto result = channel.send(bytes_of("x"), {.type = 0, .correlation = i}, kPatience);
      if (!result) sent = result.error().message();
      if (mixed(i) % 4 == 0) continue;
      // The other side is about to arm: the next message comes at every moment of that.
      while (received.load(std::memory_order_relaxed) <= i && !is_over)
        std::this_thread::yield();
      for (auto spins = mixed(i) / 4 % 1'000; spins > 0; --spins) {
        std::atomic_signal_fence(std::memory_order_seq_cst);
      }
    }
  });
  const auto failure = receive_by_events(plugin.channel(), loop, count, received);
  is_over = true;
  sender.join();
  CHECK(sent.empty());
  CHECK(failure.empty());
}

TEST_CASE("event: an event loop is woken by another process for each reply") {
  Site site(Where::two_processes, {"echo"});
  const Poller poller(Loop::epoll, site.channel().event_fd());
  const auto count = mews_test::scaled(5'000);
  for (std::uint64_t i = 0; i < count; ++i) {
    REQUIRE(outcome(site.channel().try_receive()) == "would_block");
    const bool is_armed = must(site.channel().arm_event());
    REQUIRE(is_armed);
    must(site.channel().send(bytes_of("x"), {.type = kForward, .correlation = i}));
    REQUIRE(poller.wait());
    REQUIRE(must(site.channel().receive(kPatience)).correlation() == i);
  }
}

TEST_CASE("event: arming says no while there is something to receive or an end to see") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("other"));
  must(guest.channel().send(bytes_of("x")));
  CHECK_FALSE(must(plugin.channel().arm_event()));
  must(plugin.channel().receive(kPatience));
  CHECK(must(plugin.channel().arm_event()));
  must(guest.channel().close());
  CHECK(is_readable(plugin.channel().event_fd()));
  CHECK_FALSE(must(plugin.channel().arm_event()));
  CHECK(outcome(plugin.channel().try_receive()) == "closed");
  CHECK_FALSE(must(plugin.channel().arm_event()));
}

TEST_CASE("event: arming again what is armed still says the same, and misses no message") {
  Site site(Where::two_processes, {"echo"});
  const Poller poller(Loop::epoll, site.channel().event_fd());
  const auto count = mews_test::scaled(500);
  for (std::uint64_t i = 0; i < count; ++i) {
    // As a host does that watches many channels: this one is quiet meanwhile.
    for (auto rounds = mixed(i) % 40; rounds > 0; --rounds) {
      REQUIRE(must(site.channel().arm_event()));
      REQUIRE(outcome(site.channel().try_receive()) == "would_block");
    }
    REQUIRE(must(site.channel().arm_event()));
    must(site.channel().send(bytes_of("x"), {.type = kForward, .correlation = i}));
    REQUIRE(poller.wait());
    // It may be readable for an earlier signal.
    while (outcome(site.channel().try_receive()) == "would_block") {
      if (must(site.channel().arm_event())) REQUIRE(poller.wait());
    }
  }
}

TEST_CASE("event: a message that is found by the look after arming makes no signal due") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("other"));
  for (int i = 0; i < 100; ++i) {
    must(guest.channel().send(bytes_of("x")));
    REQUIRE_FALSE(must(plugin.channel().arm_event()));
    must(plugin.channel().receive(kPatience));
  }
  // It is not armed, so the sender signals nothing.
  must(guest.channel().send(bytes_of("x")));
  pollfd entry{.fd = plugin.channel().event_fd(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&entry, 1, 0) == 0);
}

TEST_CASE("event: an armed event loop sees a killed plugin") {
  Site site(Where::two_processes, {"mute"});
  must(site.channel().receive(kPatience));
  REQUIRE(must(site.channel().arm_event()));
  must(site.plugin().kill(SIGKILL));
  CHECK(is_readable(site.channel().event_fd()));
  CHECK(outcome(site.channel().try_receive()) == "peer_died");
  CHECK_FALSE(must(site.channel().arm_event()));
}

TEST_CASE("event: a host without a watcher thread sees deaths when it looks, and only then") {
  mews::CreateOptions options;
  options.local.watcher = mews::Watcher::none;
  Site site(Where::two_processes, {"mute"}, options);
  must(site.channel().receive(kPatience));
  site.host().process_events();
  CHECK(site.plugin().is_alive());
  must(site.plugin().kill(SIGKILL));
  REQUIRE(is_readable(site.host().watch_fd()));
  CHECK(site.plugin().is_alive());
  CHECK(outcome(site.channel().try_receive()) == "would_block");
  site.host().process_events();
  // Its end of the channel may be seen to close before the process is gone.
  while (site.plugin().is_alive()) {
    REQUIRE(is_readable(site.host().watch_fd()));
    site.host().process_events();
  }
  CHECK(outcome(site.channel().try_receive()) == "peer_died");
}

TEST_CASE("event: a host and the plugins within its process have one watcher thread") {
  auto host = must(mews::Session::create());
  const auto threads_of_the_host = mews_test::threads_of_this_process();
  auto first = must(host.connect("first"));
  auto second = must(host.connect("second"));
  CHECK(mews_test::threads_of_this_process() == threads_of_the_host);
  first.second.process_events();
  CHECK(first.second.watch_fd() >= 0);
}

TEST_CASE("event: without a watcher thread, each of several waiting threads learns of its exit") {
  // Whatever the event loop or another waiter has seen to, nobody sees again.
  const bool has_loop = GENERATE(false, true);
  mews::CreateOptions options;
  options.local.watcher = mews::Watcher::none;
  auto host = must(mews::Session::create(options));
  for (int round = 0; round < 30; ++round) {
    std::vector<mews::Plugin> plugins;
    for (int i = 0; i < 3; ++i)
      plugins.push_back(must(host.spawn("sleeper", {"sleep", "600"})));
    std::atomic<int> seen{0};
    std::vector<std::thread> waiters;
    for (auto& plugin : plugins) {
      waiters.emplace_back([&seen, &plugin] {
        if (plugin.wait_exit(mews::forever)) ++seen;
      });
    }
    for (auto& plugin : plugins)
      must(plugin.kill(SIGKILL));
    const bool is_seen = eventually([&] {
      pollfd entry{.fd = host.watch_fd(), .events = POLLIN, .revents = 0};
      if (has_loop && ::poll(&entry, 1, 1) == 1) host.process_events();
      return seen == 3;
    });
    // Another death wakes a waiter that was forgotten, so that it can be joined.
    for (int i = 0; !is_seen && seen < 3 && i < 100; ++i) {
      must(must(host.spawn("rescue", {"true"})).wait_exit(kPatience));
    }
    for (auto& waiter : waiters)
      waiter.join();
    REQUIRE(is_seen);
  }
}

TEST_CASE("event: without a watcher thread, waiting for an exit does the watching") {
  mews::CreateOptions options;
  options.local.watcher = mews::Watcher::none;
  auto host = must(mews::Session::create(options));
  mews::PluginOptions restarting;
  restarting.restart = mews::Restart::on_crash;
  auto plugin = must(host.spawn("crashes", command({"crash_on_request"}), restarting));
  for (int i = 0; i < 3; ++i) {
    must(plugin.channel().send(bytes_of("x")));
    CHECK(must(plugin.wait_exit(kPatience)).number == 7);
    must(plugin.renew(kPatience));
  }
  must(plugin.channel().close());
  CHECK(must(plugin.wait_exit(kPatience)).number == 0);
  CHECK(must(host.shutdown(kPatience)).is_clean());
}
