// SPDX-License-Identifier: MIT
#include <string>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

template <class T>
void check_refused(const mews::Result<T>& result, const char* part) {
  REQUIRE(outcome(result) == "invalid_argument");
  CHECK_THAT(result.error().message(), ContainsSubstring(part));
}

/// Every call of an empty channel.
void check_empty(mews::Channel& channel) {
  constexpr auto kEmpty = "this channel is empty";
  const auto visit = [](const mews::MessageView&) {};
  const auto bytes = std::as_bytes(std::span("bytes", 5));
  check_refused(channel.loan(1), kEmpty);
  check_refused(channel.loan(1000, kPatience), kEmpty);
  check_refused(channel.try_loan(1), kEmpty);
  check_refused(channel.loan(1, 64), kEmpty);
  check_refused(channel.loan(1, 64, kPatience), kEmpty);
  check_refused(channel.try_loan(1, 64), kEmpty);
  check_refused(channel.send(mews::Loan()), kEmpty);
  check_refused(channel.send(mews::Loan(), {}, kPatience), kEmpty);
  check_refused(channel.try_send(mews::Loan()), kEmpty);
  check_refused(channel.send(bytes), kEmpty);
  check_refused(channel.send(bytes, {}, kPatience), kEmpty);
  check_refused(channel.try_send(bytes), kEmpty);
  check_refused(channel.send("text"), kEmpty);
  check_refused(channel.try_send_batch({}), kEmpty);
  check_refused(channel.receive(), kEmpty);
  check_refused(channel.receive(kPatience), kEmpty);
  check_refused(channel.try_receive(), kEmpty);
  check_refused(channel.receive_batch(visit, 1), kEmpty);
  check_refused(channel.receive_batch(visit, 1, kPatience), kEmpty);
  check_refused(channel.try_receive_batch(visit, 1), kEmpty);
  check_refused(channel.close(), kEmpty);
  check_refused(channel.arm_event(), kEmpty);
  CHECK(channel.event_fd() == -1);

  auto sender = channel.shared();
  check_refused(sender.loan(1), kEmpty);
  check_refused(sender.loan(1, kPatience), kEmpty);
  check_refused(sender.try_loan(1), kEmpty);
  check_refused(sender.loan(1, 64), kEmpty);
  check_refused(sender.send(mews::Loan()), kEmpty);
  check_refused(sender.send(bytes, {}, kPatience), kEmpty);
  check_refused(sender.try_send(bytes), kEmpty);
  check_refused(sender.try_send_batch({}), kEmpty);
}

}  // namespace

TEST_CASE("one side: a host's own channel is empty, and each call says so") {
  auto host = must(mews::Session::create(small_arena()));
  check_empty(host.channel());
}

TEST_CASE("one side: a channel that was moved from is empty, and the one moved to works") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  auto taken = std::move(plugin.channel());
  check_empty(plugin.channel());
  must(taken.send("on"));
  CHECK(must(guest.channel().receive(kPatience)).text() == "on");
  plugin.channel() = std::move(taken);
  must(plugin.channel().send("back"));
  CHECK(must(guest.channel().receive(kPatience)).text() == "back");
}

TEST_CASE("one side: a sender that was moved from is empty") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  auto sender = plugin.channel().shared();
  auto moved = std::move(sender);
  check_refused(sender.try_send("x"), "is empty");  // NOLINT(bugprone-use-after-move)
  must(moved.try_send("x"));
}

TEST_CASE("one side: what only a host can do is invalid_argument in a plugin") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  constexpr auto kHostOnly = "only the session that made the arena";
  check_refused(guest.spawn("x", {"true"}), kHostOnly);
  check_refused(guest.listen("@" + unique_name("mews-one-side")), kHostOnly);
  check_refused(guest.admit(kPatience), kHostOnly);
  check_refused(guest.connect("x"), kHostOnly);
  must(guest.channel().send("still here"));
}
