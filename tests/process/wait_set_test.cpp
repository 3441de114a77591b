// SPDX-License-Identifier: MIT
#include <poll.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "wait_set_support.hpp"

using namespace process_test;

TEST_CASE("wait set: what came before `add` is reported") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("early"));
  must(guest.channel().send(bytes_of("x")));
  auto set = must(mews::WaitSet::create());
  must(set.add(plugin.channel(), 7));
  CHECK(keys_of(set.wait(kPatience)) == Keys{7});
}

TEST_CASE("wait set: a member that was not drained is reported again, until it is") {
  Crowd crowd(3);
  crowd.send(1);
  crowd.send(1);
  for (int i = 0; i < 5; ++i)
    CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
  must(crowd.here(1).try_receive());
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
  must(crowd.here(1).try_receive());
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  CHECK(outcome(crowd.set().try_wait()) == "would_block");
}

TEST_CASE("wait set: an end is reported until it is received; then the set sleeps") {
  Crowd crowd(2);
  crowd.send(0);
  must(crowd.there(0).close());
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0});
  must(crowd.here(0).try_receive());
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0});
  CHECK(outcome(crowd.here(0).try_receive()) == "closed");
  CHECK(outcome(crowd.set().wait(5ms)) == "timed_out");
  crowd.send(1);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
}

TEST_CASE("wait set: a plugin that is killed is reported, and after that costs nothing") {
  Site site(Where::two_processes, {"mute"});
  must(site.channel().receive(kPatience));
  auto set = must(mews::WaitSet::create());
  must(set.add(site.channel(), 1));
  std::thread killer([&] {
    std::this_thread::sleep_for(5ms);
    must(site.plugin().kill(SIGKILL));
  });
  CHECK(keys_of(set.wait(kPatience)) == Keys{1});
  killer.join();
  CHECK(outcome(site.channel().try_receive()) == "peer_died");
  // Nothing is left that would wake it, again and again.
  CHECK(outcome(set.wait(1ms)) == "timed_out");
  CHECK(must(set.arm_event()));
  pollfd entry{.fd = set.fd(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&entry, 1, 0) == 0);
  CHECK(set.remove(1));
  CHECK(set.size() == 0);
}

TEST_CASE("wait set: a signal that another thread has answered does not keep the set awake") {
  Crowd crowd(1);
  // It sleeps, with member 0 armed, while another thread receives from that one.
  Waiting waiting(crowd.set());
  CHECK(waiting.sleeps_in(10ms) == 0);
  std::atomic<int> received{0};
  std::thread reader([&] {
    while (receive_beside(crowd.here(0)).type() == 0)
      ++received;
  });
  REQUIRE(is_received_from(crowd.here(0)));
  crowd.send(0);
  REQUIRE(eventually([&] { return received == 1; }));
  // The reader waits again, and the descriptor was not drained.
  CHECK(waiting.sleeps_in(300ms) <= 2);
  crowd.set().wake();
  CHECK(waiting.keys().empty());
  CHECK(waiting.time() < 200ms);
  must(crowd.there(0).send(bytes_of("x"), {.type = 1}));
  reader.join();
}

TEST_CASE("wait set: a member in use while it arms is looked at again by itself") {
  Crowd crowd(1);
  std::thread reader([&] { receive_beside(crowd.here(0)); });
  REQUIRE(is_received_from(crowd.here(0)));
  CHECK(outcome(crowd.set().arm_event()) == "concurrent_use");
  Waiting waiting(crowd.set());
  CHECK(waiting.sleeps_in(10ms) == 0);
  // The reader takes the first one and leaves the second, for which nothing is armed.
  must(crowd.there(0).try_send(bytes_of("x")));
  reader.join();
  crowd.send(0);
  CHECK(waiting.keys() == Keys{0});
}

TEST_CASE("wait set: a sleeping set is woken by any of its members, each time") {
  Crowd crowd(17);
  const auto count = mews_test::scaled(4'000);
  std::atomic<std::uint64_t> received{0};
  std::atomic<bool> is_over{false};
  std::string failure;
  std::thread sender([&] {
    for (std::uint64_t i = 0; i < count && !is_over; ++i) {
      const auto sent =
          crowd.there(mixed(i) % 17).send(bytes_of("x"), {.correlation = i}, kPatience);
      if (!sent) failure = sent.error().message();
      // Mostly the next one comes when the set arms, or sleeps.
      while (mixed(i) % 4 != 0 && received.load() <= i && !is_over)
        std::this_thread::yield();
      for (auto spins = mixed(i) / 4 % 2'000; spins > 0; --spins)
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  });
  std::string outcome_of_wait;
  while (received.load() < count && outcome_of_wait.empty()) {
    const auto report = crowd.set().wait(kPatience);
    if (!report) outcome_of_wait = report.error().message();
    if (!report) break;
    for (const auto& member : *report) {
      while (crowd.here(member.key).try_receive())
        received.fetch_add(1);
    }
  }
  is_over = true;
  sender.join();
  CHECK(failure.empty());
  CHECK(outcome_of_wait.empty());
  CHECK(received.load() == count);
}

TEST_CASE("wait set: seventeen plugins in processes of their own are all answered") {
  auto host = must(mews::Session::create());
  auto set = must(mews::WaitSet::create());
  std::vector<mews::Plugin> plugins;
  for (std::uint64_t i = 0; i < 17; ++i) {
    plugins.push_back(must(host.spawn("echo" + std::to_string(i), command({"echo"}))));
    must(set.add(plugins.back().channel(), i));
    must(plugins.back().channel().send(bytes_of("x"), {.type = kForward}, kPatience));
  }
  const auto rounds = mews_test::scaled(300);
  std::array<std::uint64_t, 17> answers{};
  std::size_t left = 17;
  while (left > 0) {
    const auto ready = must(set.wait(kPatience));
    for (const auto& member : ready) {
      auto& channel = plugins[member.key].channel();
      while (channel.try_receive()) {
        if (++answers[member.key] == rounds) {
          --left;
          continue;
        }
        must(channel.send(bytes_of("x"), {.type = kForward}, kPatience));
      }
    }
  }
}

TEST_CASE("wait set: `wake` ends the wait that is, or the next one, and is used up by it") {
  Crowd crowd(1);
  crowd.set().wake();
  CHECK(keys_of(crowd.set().wait(kPatience)).empty());
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  for (int i = 0; i < 50; ++i) {
    std::thread waker([&] { crowd.set().wake(); });
    CHECK(keys_of(crowd.set().wait(kPatience)).empty());
    waker.join();
  }
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  auto alone = must(mews::WaitSet::create());
  alone.wake();
  CHECK(keys_of(alone.wait(kPatience)).empty());
  CHECK(outcome(alone.try_wait()) == "would_block");
}

TEST_CASE("wait set: a stop token ends a wait, and leaves the set as it was") {
  Crowd crowd(2);
  for (int i = 0; i < 50; ++i) {
    std::stop_source source;
    std::thread stopper([&] { source.request_stop(); });
    CHECK(outcome(crowd.set().wait(kPatience, source.get_token())) == "cancelled");
    stopper.join();
  }
  crowd.send(1);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
}

TEST_CASE("wait set: a wait ends not before its deadline, and soon after") {
  Crowd crowd(1);
  for (const auto wait : {0us, 1us, 200us, 1500us, 30'000us}) {
    const auto before = mews::Deadline::Clock::now();
    CHECK(outcome(crowd.set().wait(wait)) == "timed_out");
    const auto took = mews::Deadline::Clock::now() - before;
    CHECK(took >= wait);
    CHECK(took < wait + kPatience);
  }
}

TEST_CASE("wait set: a channel that another thread reads counts as not ready") {
  Crowd crowd(2);
  std::thread reader([&] { receive_beside(crowd.here(0)); });
  REQUIRE(is_received_from(crowd.here(0)));
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  crowd.send(1);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
  crowd.send(0);
  reader.join();
}
