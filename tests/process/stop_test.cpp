// SPDX-License-Identifier: MIT
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "core/longest_sleep.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

const auto kIgnore = [](const mews::MessageView&) {};

/// Nobody looks again by itself: what a stop does not wake sleeps on.
class NoLooks {
 public:
  NoLooks() noexcept { mews::detail::longest_sleep = std::chrono::hours(1); }
  NoLooks(const NoLooks&) = delete;
  NoLooks& operator=(const NoLooks&) = delete;
  ~NoLooks() { mews::detail::longest_sleep = std::chrono::seconds(1); }
};

/// A host and a plugin within its process; the lane to the plugin is full, all slabs of 4 KiB are
/// taken, and nothing is there to be received: whatever is called would wait.
class Stuck {
 public:
  explicit Stuck(mews::Watcher watcher = mews::Watcher::thread)
      : host_(must(mews::Session::create(options(watcher)))) {
    auto local = must(host_.connect("guest"));
    plugin_.emplace(std::move(local.first));
    guest_.emplace(std::move(local.second));
    inline_ = must(channel().loan(100));
    for (;;) {
      auto loan = channel().try_loan(4096);
      if (!loan) break;
      taken_.push_back(std::move(*loan));
    }
    while (channel().try_send(bytes_of("x"))) {
    }
    must(host_.listen("@" + unique_name("mews-test-stop")));
  }

  struct Call {
    std::string name;
    std::function<std::string(std::stop_token)> run;
  };
  /// Every call that waits, with a deadline that never comes.
  [[nodiscard]] std::vector<Call> calls() {
    auto sender = channel().shared();
    return {
        {"receive", [this](auto stop) { return outcome(channel().receive(mews::forever, stop)); }},
        {"receive_batch",
         [this](auto stop) {
           return outcome(channel().receive_batch(kIgnore, 1, mews::forever, stop));
         }},
        {"send",
         [this](auto stop) {
           return outcome(channel().send(bytes_of("x"), {}, mews::forever, stop));
         }},
        {"send a loan",
         [this](auto stop) {
           return outcome(channel().send(std::move(inline_), {}, mews::forever, stop));
         }},
        {"loan", [this](auto stop) { return outcome(channel().loan(4096, mews::forever, stop)); }},
        {"shared send",
         [sender](auto stop) mutable {
           return outcome(sender.send(bytes_of("x"), {}, mews::forever, stop));
         }},
        {"shared loan",
         [sender](auto stop) mutable { return outcome(sender.loan(4096, mews::forever, stop)); }},
        {"wait_exit",
         [this](auto stop) { return outcome(plugin_->wait_exit(mews::forever, stop)); }},
        {"renew", [this](auto stop) { return outcome(plugin_->renew(mews::forever, stop)); }},
    };
  }
  [[nodiscard]] mews::Session& host() noexcept { return host_; }
  [[nodiscard]] mews::Channel& channel() noexcept { return plugin_->channel(); }
  [[nodiscard]] mews::Channel& guest_channel() noexcept { return guest_->channel(); }
  [[nodiscard]] bool is_loan_whole() const noexcept { return inline_.is_valid(); }
  void give_back_one() { taken_.pop_back(); }

 private:
  static mews::CreateOptions options(mews::Watcher watcher) {
    auto options = small_arena();
    options.local.watcher = watcher;
    return options;
  }
  NoLooks no_looks_;
  mews::Session host_;
  std::optional<mews::Plugin> plugin_;
  std::optional<mews::Session> guest_;
  mews::Loan inline_;
  std::vector<mews::Loan> taken_;
};

/// Requests a stop from another thread while `run` is asleep, or about to be, or has not begun.
std::string stopped_meanwhile(const std::function<std::string(std::stop_token)>& run, int round) {
  std::stop_source source;
  std::thread stopper([&source, round] {
    if (round % 3 != 0) std::this_thread::sleep_for(std::chrono::microseconds(40 * round));
    source.request_stop();
  });
  auto how = run(source.get_token());
  stopper.join();
  return how;
}

}  // namespace

TEST_CASE("stop: every call that waits ends as cancelled when its token is asked to stop") {
  Stuck stuck(GENERATE(mews::Watcher::thread, mews::Watcher::none));
  for (auto& call : stuck.calls()) {
    INFO(call.name);
    for (int round = 0; round < 10; ++round)
      REQUIRE(stopped_meanwhile(call.run, round) == "cancelled");
    CHECK(stuck.is_loan_whole());
  }
}

TEST_CASE("stop: a token that is stopped already lets a call look once") {
  Stuck stuck;
  std::stop_source source;
  source.request_stop();
  for (auto& call : stuck.calls()) {
    INFO(call.name);
    CHECK(call.run(source.get_token()) == "cancelled");
  }
  must(stuck.guest_channel().send(bytes_of("x")));
  must(stuck.guest_channel().send(bytes_of("y")));
  stuck.give_back_one();
  while (stuck.guest_channel().try_receive()) {
  }
  for (auto& call : stuck.calls()) {
    if (call.name == "wait_exit" || call.name == "renew") continue;
    INFO(call.name);
    CHECK(call.run(source.get_token()) == "ok");
  }
}

TEST_CASE("stop: the deadline still ends a wait whose token is never asked to stop") {
  Stuck stuck;
  std::stop_source source;
  auto& channel = stuck.channel();
  const auto stop = source.get_token();
  CHECK(outcome(channel.receive(1ms, stop)) == "timed_out");
  CHECK(outcome(channel.send(bytes_of("x"), {}, 1ms, stop)) == "timed_out");
  CHECK(outcome(channel.loan(4096, 1ms, stop)) == "timed_out");
  CHECK(outcome(channel.shared().send(bytes_of("x"), {}, 1ms, stop)) == "timed_out");
}

TEST_CASE("stop: a wait is ended for the thread whose token it is, and goes on for the others") {
  Stuck stuck;
  auto sender = stuck.channel().shared();
  std::stop_source first;
  std::stop_source third;
  std::array<mews::Result<void>, 3> sent;
  std::array<mews::Result<mews::Loan>, 3> lent;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 3; ++i) {
    // One has the turn and waits for room; the others wait for their turn.
    threads.emplace_back([&, sender, i]() mutable {
      const auto stop = i == 0 ? first.get_token() : i == 2 ? third.get_token() : std::stop_token();
      sent[i] = sender.send(bytes_of("x"), {}, kPatience, stop);
    });
    threads.emplace_back([&, sender, i]() mutable {
      const auto stop = i == 0 ? first.get_token() : i == 2 ? third.get_token() : std::stop_token();
      lent[i] = sender.loan(4096, kPatience, stop);
    });
  }
  first.request_stop();
  third.request_stop();
  threads[0].join();
  threads[1].join();
  threads[4].join();
  threads[5].join();
  stuck.give_back_one();
  must(stuck.guest_channel().receive(kPatience));
  while (stuck.guest_channel().try_receive()) {
  }
  threads[2].join();
  threads[3].join();
  CHECK(outcome(sent[0]) == "cancelled");
  CHECK(outcome(sent[2]) == "cancelled");
  CHECK(outcome(lent[0]) == "cancelled");
  CHECK(outcome(lent[2]) == "cancelled");
  CHECK(outcome(sent[1]) == "ok");
  CHECK(outcome(lent[1]) == "ok");
}

TEST_CASE("stop: a plugin process's own wait ends the same way") {
  Site site(Where::two_processes, {"cancel"});
  CHECK(must(site.channel().receive(kPatience)).text() == "cancelled cancelled");
}
