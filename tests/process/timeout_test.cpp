// SPDX-License-Identifier: MIT
#include <signal.h>

#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Sends until the lane takes no more; how many it took.
int fill_lane(mews::Channel& channel) {
  for (int sent = 0;; ++sent) {
    if (!channel.try_send(bytes_of("a small message"))) return sent;
  }
}

}  // namespace

TEST_CASE("timeout: a loan from an exhausted class names who holds it, and how much") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"hold", "65536"}, small_arena());
  CHECK(must(site.channel().receive(kPatience)).text() == "8");
  CHECK(outcome(site.channel().try_loan(65536)) == "no_slab");
  const auto refused = site.channel().loan(65536, 20ms);
  REQUIRE(outcome(refused) == "timed_out");
  CHECK_THAT(refused.error().message(), ContainsSubstring("no 64 KiB slab for"));
  CHECK_THAT(refused.error().message(), ContainsSubstring("hold holds 8 (8 throughout)"));

  const auto holders = site.host().stats().holders;
  REQUIRE(holders.size() == 1);
  CHECK((holders[0].name == "hold" && holders[0].held == 8));
}

TEST_CASE("timeout: a loan that waits is served when another process gives one back") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"hold", "65536"}, small_arena());
  REQUIRE(must(site.channel().receive(kPatience)).text() == "8");
  for (int i = 0; i < 8; ++i) {
    mews::Result<mews::Loan> loan = mews::fail(mews::ErrorCode::closed);
    std::thread waiter([&] { loan = site.channel().loan(65536, kPatience); });
    must(site.channel().send(bytes_of("one back")));
    waiter.join();
    CHECK(outcome(loan) == "ok");
    must(site.channel().send(std::move(*loan)));
  }
}

TEST_CASE("timeout: a run that cannot be had says how many adjacent slabs were wanted") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("idle"));
  const auto one = must(guest.channel().loan(1 << 20));
  const auto run = plugin.channel().loan(8 << 20, 5ms);
  REQUIRE(outcome(run) == "timed_out");
  CHECK_THAT(run.error().message(), ContainsSubstring("no 8 adjacent 1 MiB slabs"));
  CHECK_THAT(run.error().message(), ContainsSubstring("idle holds 1"));
}

TEST_CASE("timeout: whoever waits for a plugin that has not attached is told so") {
  auto host = must(mews::Session::create(small_arena()));
  auto plugin = must(host.spawn("sleeper", {"sleep", "600"}));
  const auto is_told = [](const mews::Error& error) {
    CHECK_THAT(error.message(),
               ContainsSubstring("sleeper") && ContainsSubstring("has not attached yet"));
  };
  is_told(plugin.channel().receive(5ms).error());
  CHECK(fill_lane(plugin.channel()) > 10);
  is_told(plugin.channel().send(bytes_of("one too many"), {}, 5ms).error());
  must(plugin.kill(SIGKILL));
}

TEST_CASE("timeout: a full lane names who does not read, and the loan stays whole") {
  Site site(Where::two_processes, {"mute"}, small_arena());
  REQUIRE(must(site.channel().receive(kPatience)).text() == "here");
  CHECK(fill_lane(site.channel()) > 10);
  for (const std::size_t bytes : {0u, 480u, 5000u}) {
    auto loan = must(site.channel().loan(bytes));
    fill(loan.bytes(), bytes);
    const auto refused = site.channel().send(std::move(loan), {}, 20ms);
    REQUIRE(outcome(refused) == "timed_out");
    CHECK_THAT(refused.error().message(), ContainsSubstring("lane host->mute full for"));
    CHECK_THAT(refused.error().message(),
               ContainsSubstring("of 64 cells; mute has not read since"));
    CHECK(outcome(site.channel().try_send(std::move(loan))) == "would_block");
    CHECK(loan.is_valid());
    CHECK(loan.size() == bytes);
    CHECK(is_filled(loan.bytes(), bytes));
  }
  CHECK(site.host().stats().is_all_free());
  must(site.plugin().kill(SIGKILL));
}

TEST_CASE("timeout: a sender that waits goes on when the reader reads") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("reader"));
  const auto taken = fill_lane(plugin.channel());
  mews::Result<void> sent = mews::fail(mews::ErrorCode::closed);
  std::thread sender([&, &plugin = plugin] {
    sent = plugin.channel().send(bytes_of(std::string(480, 'x')), {}, kPatience);
  });
  for (int i = 0; i < taken; ++i)
    must(guest.channel().receive(kPatience));
  CHECK(must(guest.channel().receive(kPatience)).size() == 480);
  sender.join();
  CHECK(outcome(sent) == "ok");
}

TEST_CASE("timeout: waiting for a message in vain says for whom and how long") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"echo"});
  REQUIRE(site.round_trip(10) == "the same");  // or it may have been started, but not attached yet
  const auto nothing = site.channel().receive(20ms);
  REQUIRE(outcome(nothing) == "timed_out");
  CHECK_THAT(nothing.error().message(),
             ContainsSubstring("nothing came from echo for") && !ContainsSubstring("attached"));
  CHECK(site.round_trip(10) == "the same");
}

TEST_CASE("timeout: each blocking call looks once when its deadline is zero or long past") {
  const auto deadline = GENERATE(mews::Deadline(0ms), mews::Deadline(-1h),
                                 mews::Deadline(mews::Deadline::Clock::time_point::min()));
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("idle"));
  auto& channel = plugin.channel();
  CHECK(outcome(channel.receive(deadline)) == "timed_out");
  CHECK(outcome(channel.receive_batch([](const mews::MessageView&) {}, 5, deadline)) ==
        "timed_out");
  CHECK(outcome(channel.loan(5000, deadline)) == "ok");
  CHECK(outcome(channel.send(bytes_of("hello"), {}, deadline)) == "ok");
  CHECK(must(guest.channel().receive(deadline)).text() == "hello");

  std::vector<mews::Loan> loans;
  while (auto loan = guest.channel().try_loan(65536))
    loans.push_back(std::move(*loan));
  CHECK(outcome(channel.loan(65536, deadline)) == "timed_out");
  CHECK(outcome(channel.shared().loan(65536, deadline)) == "timed_out");
  fill_lane(channel);
  CHECK(outcome(channel.send(bytes_of("hello"), {}, deadline)) == "timed_out");
  CHECK(outcome(channel.shared().send(bytes_of("hello"), {}, deadline)) == "timed_out");
  CHECK(outcome(plugin.wait_exit(deadline)) == "timed_out");
  CHECK(outcome(plugin.renew(deadline)) == "timed_out");
  must(host.listen("@" + unique_name("mews-test-zero")));
  CHECK(outcome(host.admit(deadline)) == "timed_out");
}

TEST_CASE("timeout: a call without a deadline ends after the session's default") {
  auto options = small_arena();
  options.local.default_timeout = 10ms;
  auto host = must(mews::Session::create(options));
  auto [plugin, guest] = must(host.connect("idle"));
  auto& channel = plugin.channel();
  CHECK(outcome(channel.receive()) == "timed_out");
  CHECK(outcome(channel.receive_batch([](const mews::MessageView&) {}, 1)) == "timed_out");
  fill_lane(channel);
  CHECK(outcome(channel.send(bytes_of("hello"))) == "timed_out");
  std::vector<mews::Loan> loans;
  while (auto loan = guest.channel().try_loan(4096))
    loans.push_back(std::move(*loan));
  CHECK(outcome(channel.loan(4096)) == "timed_out");
}
