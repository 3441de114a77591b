// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/failing_new.hpp"
#include "link_support.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("link: a call brings its reply, of any size") {
  LinkPair pair;
  pair.serve();
  for (const std::size_t bytes : {0u, 1u, 64u, 480u, 481u, 5'000u, 300'000u, 20'000'000u}) {
    INFO(bytes << " bytes");
    std::vector<std::byte> sent(bytes);
    fill(sent, bytes);
    const auto reply = pair.here().call(sent, {.type = kEcho}, kPatience);
    REQUIRE(outcome(reply) == "ok");
    CHECK(reply->type() == kEcho);
    CHECK(reply->size() == bytes);
    CHECK(is_filled(reply->bytes(), bytes));
  }
  CHECK(text_of(pair.here().call("a text", {.type = kForwardBack})) == "a text");
  auto loan = must(pair.here().loan(10'000));
  fill(loan.bytes(), 3);
  const auto reply = pair.here().call(std::move(loan), {.type = kForwardBack}, kPatience);
  REQUIRE(outcome(reply) == "ok");
  CHECK(is_filled(reply->bytes(), 3));
  CHECK(!loan.is_valid());  // NOLINT: moved from is what is asked
}

TEST_CASE("link: calls go both ways at once") {
  LinkPair pair;
  pair.serve();
  std::stop_source stop;
  std::thread host([&stop, link = pair.here()]() mutable {
    (void)link.serve(answer, kPatience, stop.get_token());
  });
  std::thread plugin([link = pair.there()]() mutable {
    for (int i = 0; i < 2'000; ++i)
      if (text_of(link.call("up", {.type = kEcho}, kPatience)) != "up") std::abort();
  });
  for (int i = 0; i < 2'000; ++i)
    REQUIRE(text_of(pair.here().call("down", {.type = kEcho}, kPatience)) == "down");
  plugin.join();
  stop.request_stop();
  host.join();
  CHECK(is_all_back(pair));
}

namespace {

/// The loop is at `link`'s end.
void check_event_loop(mews::Link& link, mews::Link& other_end, int part) {
  REQUIRE(must(link.arm_event()));
  CHECK(!is_readable(link.event_fd()));
  switch (part) {
    case 0: {  // a request
      auto pending = must(other_end.start("x"));
      REQUIRE(becomes_readable(link.event_fd()));
      CHECK(must(link.dispatch()));
      CHECK(!must(link.arm_event()));  // it waits to be accepted
      must(must(link.try_accept()).reply("y"));
      CHECK(text_of(pending.get()) == "y");
      CHECK(must(link.arm_event()));
      break;
    }
    case 1: {  // a reply
      int done = 0;
      auto pending = must(link.start("x"));
      REQUIRE(pending.on_ready([&] { ++done; }));
      must(must(other_end.accept(kPatience)).reply("y"));
      REQUIRE(becomes_readable(link.event_fd()));
      CHECK(!must(link.dispatch()));
      CHECK(done == 1);
      CHECK(text_of(pending.get()) == "y");
      // What was signalled does not end the next sleep as well.
      REQUIRE(must(link.arm_event()));
      CHECK(!is_readable(link.event_fd()));
      break;
    }
    case 2: {  // a reply that another thread has taken in
      int done = 0;
      auto pending = must(link.start("x"));
      REQUIRE(pending.on_ready([&] { ++done; }));
      std::thread other([&link] { (void)link.accept(kPatience); });
      std::this_thread::sleep_for(20ms);
      REQUIRE(must(link.arm_event()));
      must(must(other_end.accept(kPatience)).reply("y"));
      REQUIRE(becomes_readable(link.event_fd()));
      CHECK(eventually([&] {
        (void)link.dispatch();
        return done == 1;
      }));
      auto end = must(other_end.start("end"));
      other.join();
      break;
    }
    default: {  // another thread has received while it was armed
      std::thread other([&link] { (void)link.accept(20ms); });
      other.join();
      auto pending = must(other_end.start("x"));
      REQUIRE(becomes_readable(link.event_fd()));
      CHECK(must(link.dispatch()));
      break;
    }
  }
  // The signals have told the other end nothing.
  std::thread server([&other_end] { must(must(other_end.accept(kPatience)).reply("z")); });
  CHECK(text_of(link.call("still there", {}, kPatience)) == "z");
  server.join();
}

}  // namespace

TEST_CASE("link: an event loop at either end is woken for requests and replies") {
  for (int part = 0; part < 4; ++part) {
    INFO("part " << part);
    LinkPair pair;
    check_event_loop(pair.here(), pair.there(), part);
    LinkPair turned;
    check_event_loop(turned.there(), turned.here(), part);
  }
}

TEST_CASE("link: a wrong partner or option is said") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("fonts"));
  SECTION("a channel at the other end, which receives") {
    auto link = must(mews::Link::over(std::move(plugin.channel())));
    auto pending = must(link.start("x"));
    const auto received = guest.channel().receive(kPatience);
    REQUIRE(outcome(received) == "peer_corrupt");
    CHECK_THAT(received.error().message(), ContainsSubstring("Link::over"));
  }
  SECTION("a channel at the other end, which sends") {
    auto link = must(mews::Link::over(std::move(plugin.channel())));
    must(guest.channel().send("x"));
    const auto reply = link.call("y", {}, kPatience);
    REQUIRE(outcome(reply) == "peer_corrupt");
    CHECK_THAT(reply.error().message(), ContainsSubstring("Link::over"));
  }
  SECTION("no channel") {
    auto channel = std::move(plugin.channel());
    CHECK(outcome(mews::Link::over(std::move(plugin.channel()))) == "invalid_argument");
  }
  SECTION("no credits") {
    CHECK(outcome(mews::Link::over(std::move(plugin.channel()), {.credits = 0})) ==
          "invalid_argument");
    CHECK(outcome(plugin.channel().try_send("still a channel")) == "ok");
  }
  SECTION("a moved-from link") {
    auto link = must(mews::Link::over(std::move(plugin.channel())));
    auto other = std::move(link);
    CHECK(outcome(link.call("x")) == "invalid_argument");  // NOLINT: moved from
    CHECK(outcome(link.accept(1ms)) == "invalid_argument");
    CHECK(link.event_fd() == -1);
  }
  SECTION("an empty loan, and another session's") {
    auto link = must(mews::Link::over(std::move(plugin.channel())));
    CHECK(outcome(link.call(mews::Loan(), {}, 1s)) == "invalid_argument");
    auto other = must(mews::Session::create());
    auto [foreign, its_guest] = must(other.connect("other"));
    auto loan = must(foreign.channel().loan(1000));
    CHECK(outcome(link.call(std::move(loan), {}, 1s)) == "invalid_argument");
    CHECK(loan.is_valid());  // NOLINT: not moved
    CHECK(link.open_calls() == 0);
  }
  SECTION("a ring that is too small") {
    mews::CreateOptions options;
    options.ring_cells = 32;
    auto small = must(mews::Session::create(options));
    auto [one, its_guest] = must(small.connect("small"));
    const auto made = mews::Link::over(std::move(one.channel()));
    REQUIRE(outcome(made) == "invalid_argument");
    CHECK_THAT(made.error().message(), ContainsSubstring("ring_cells is 32"));
  }
}

TEST_CASE("link: what is used twice, or too late, is an error") {
  LinkPair pair;
  auto pending = must(pair.here().start("x"));
  auto request = must(pair.there().accept(kPatience));
  must(request.reply("y"));
  CHECK(outcome(request.reply("z")) == "invalid_argument");
  CHECK(outcome(request.fail("z")) == "invalid_argument");
  CHECK(outcome(request.loan(10)) == "invalid_argument");
  CHECK(outcome(request.link()) == "invalid_argument");
  CHECK(text_of(pending.get()) == "y");
  CHECK(outcome(pending.get()) == "invalid_argument");
  CHECK(outcome(pending.wait(1ms)) == "invalid_argument");
  CHECK(!pending.is_ready());
  pending.cancel();
}

TEST_CASE("link: a call and its reply allocate nothing") {
  if (!mews_test::kHasFailingNew) SKIP("needs an operator new that can fail");
  LinkPair pair;
  const auto exchange_one = [&pair] {
    auto pending = must(pair.here().start("0123456789", {.type = 1}, kPatience));
    auto request = must(pair.there().accept(kPatience));
    must(request.reply(request.bytes()));
    must(pending.get());
  };
  for (int i = 0; i < 100; ++i)
    exchange_one();
  bool has_allocated = false;
  {
    const mews_test::FailingNew failing(1);
    for (int i = 0; i < 100; ++i)
      exchange_one();
    has_allocated = failing.has_failed();
  }
  CHECK(!has_allocated);
}

TEST_CASE("link: a pending reply is ready at its deadline, too") {
  LinkPair pair;
  auto pending = must(pair.here().start("x", {.type = kEcho}, 20ms));
  CHECK(!pending.is_ready());
  must(pending.wait(mews::forever));
  CHECK(pending.is_ready());
  CHECK(outcome(pending.get()) == "timed_out");
}

TEST_CASE("link: what a loop calls may drop links, replies and requests, whatever holds them") {
  LinkPair pair;
  std::optional<mews::Link> link(pair.here());
  auto request = must([&] {
    auto asked = must(pair.there().start("z", {}, kPatience));
    auto accepted = pair.here().accept(kPatience);
    asked.cancel();
    return accepted;
  }());
  const auto token = request.stop_token();
  // The function owns a reply with a function of its own, and a request whose token was asked for.
  auto inner =
      std::make_shared<mews::PendingReply>(must(pair.here().start("inner", {}, kPatience)));
  REQUIRE(inner->on_ready([] {}));
  auto kept = std::make_shared<mews::Request>(std::move(request));
  int done = 0;
  auto first = must(pair.here().start("first", {}, kPatience));
  REQUIRE(first.on_ready([&link, &done, inner, kept] {
    ++done;
    link.reset();
  }));
  auto second = must(pair.here().start("second", {}, kPatience));
  REQUIRE(second.on_ready([inner, kept] {}));
  inner.reset();
  kept.reset();
  must(must(pair.there().accept(kPatience)).reply("inner"));
  must(must(pair.there().accept(kPatience)).reply("first"));
  (void)link->dispatch();
  CHECK(done == 1);
  CHECK(!link);
  // Dropped by its owner, its function goes with the last of both.
  second.cancel();
  CHECK(text_of(first.get()) == "first");
}

TEST_CASE("link: a loop sleeps while another thread takes in") {
  LinkPair pair;
  auto& link = pair.here();
  REQUIRE(must(link.arm_event()));
  std::stop_source stop;
  std::thread other([&] { (void)link.serve(answer, mews::forever, stop.get_token()); });
  for (int i = 0; i < 20; ++i) {
    REQUIRE(text_of(pair.there().call("x", {.type = kEcho}, kPatience)) == "x");
    (void)link.dispatch();
    const auto armed = must(link.arm_event());
    if (armed) CHECK(eventually([&link] { return !is_readable(link.event_fd()); }));
  }
  stop.request_stop();
  other.join();
  auto pending = must(pair.there().start("x"));
  CHECK(becomes_readable(link.event_fd()));
}
