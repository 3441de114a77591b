// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "link_support.hpp"
#include "mews/layout/call_id.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;
using mews::ErrorCode;

TEST_CASE("link, rule 1: each call has exactly one end") {
  LinkPair pair;
  SECTION("a failure that the callee chose") {
    pair.serve();
    const auto reply = pair.here().call("no such font", {.type = kFailIt}, kPatience);
    REQUIRE(outcome(reply) == "failed");
    CHECK_THAT(reply.error().message(), ContainsSubstring("fonts: fail"));
    CHECK_THAT(reply.error().message(), ContainsSubstring("no such font"));
    CHECK(reply.error().was_started());
  }
  SECTION("a request that is dropped") {
    pair.serve();
    const auto reply = pair.here().call("x", {.type = kDrop}, kPatience);
    REQUIRE(outcome(reply) == "unanswered");
    CHECK(reply.error().was_started());
  }
  SECTION("the deadline") {
    const auto reply = pair.here().call("x", {.type = kEcho}, 20ms);
    REQUIRE(outcome(reply) == "timed_out");
    CHECK_THAT(reply.error().message(), ContainsSubstring("fonts: echo: no answer for"));
    CHECK_THAT(reply.error().message(), ContainsSubstring("not taken"));
    CHECK(!reply.error().was_started());
  }
  SECTION("the caller's stop token") {
    std::stop_source source;
    std::thread stopper([&source] {
      std::this_thread::sleep_for(20ms);
      source.request_stop();
    });
    CHECK(outcome(pair.here().call("x", {}, mews::forever, source.get_token())) == "cancelled");
    stopper.join();
  }
  SECTION("the end of the other end") {
    auto pending = must(pair.here().start("x"));
    pair.end_plugin();
    CHECK(outcome(pending.get()) == "closed");
    CHECK(outcome(pair.here().call("x")) == "closed");
    CHECK(outcome(pair.here().accept(kPatience)) == "closed");
    return;
  }
  pair.serve();
  CHECK(is_all_back(pair));
}

TEST_CASE("link, rule 1: replies, time-outs and cancels at once leave nothing behind") {
  LinkPair pair({}, {.credits = 8, .types = kLinkTypes});
  pair.serve(2);
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (unsigned number = 0; number < 3; ++number) {
    callers.emplace_back([&wrong, number, link = pair.here()]() mutable {
      for (std::uint64_t i = 0; i < 1'500; ++i) {
        const auto dice = mixed(number * 1'000'003 + i);
        std::vector<std::byte> bytes(mixed_size(dice));
        fill(bytes, dice);
        const mews::Deadline deadline =
            dice % 4 == 0 ? mews::Deadline(dice / 4 % 60 * 1us) : mews::Deadline(kPatience);
        if (dice % 8 < 3) {
          auto pending = link.start(bytes, {.type = kEcho}, deadline);
          continue;  // dropped: cancelled
        }
        const auto reply = link.call(bytes, {.type = kEcho}, deadline);
        const bool is_right = reply
                                  ? reply->size() == bytes.size() && is_filled(reply->bytes(), dice)
                                  : reply.error().code() == ErrorCode::timed_out;
        if (!is_right) ++wrong;
      }
    });
  }
  for (auto& caller : callers)
    caller.join();
  CHECK(wrong == 0);
  CHECK(is_all_back(pair));
  CHECK(text_of(pair.here().call("x", {.type = kEcho}, kPatience)) == "x");
}

TEST_CASE("link, rule 2: a reply that comes too late is dropped, and its slab freed") {
  LinkPair pair;
  CHECK(outcome(pair.here().call("x", {.type = kMore}, 10ms)) == "timed_out");
  auto late = must(pair.there().start("unrelated"));
  {
    // It came too late, and is not given out; then one is in time.
    auto pending = must(pair.here().start("100000", {.type = kMore}, kPatience));
    auto request = must(pair.there().accept(kPatience));
    CHECK(request.text() == "100000");
    pending.cancel();
    answer(request);
    CHECK(request.is_answered());
  }
  CHECK(eventually([&] {
    (void)pair.here().dispatch();
    return pair.here().open_calls() == 0;
  }));
  CHECK(pair.host().stats().is_all_free());
  // Neither was taken for a request.
  auto request = must(pair.here().try_accept());
  CHECK(request.text() == "unrelated");
  CHECK(outcome(pair.here().try_accept()) == "would_block");
}

TEST_CASE("link, rule 3: no record of a link waits for room, however small the lane") {
  for (const std::uint32_t ring_cells : {128u, 1024u, 4096u}) {
    INFO(ring_cells << " cells");
    mews::CreateOptions options;
    options.ring_cells = ring_cells;
    LinkPair pair(options, {.credits = 64});
    const auto credits = pair.here().credits();
    CHECK(credits == mews::layout::LinkLimits::of(ring_cells).calls);
    const std::string largest(480, 'x');
    for (int round = 0; round < 50; ++round) {
      std::vector<mews::PendingReply> here, there;
      for (std::uint32_t i = 0; i < credits; ++i) {
        here.push_back(must(pair.here().try_start(largest, {}, kPatience)));
        there.push_back(must(pair.there().try_start(largest, {}, kPatience)));
      }
      CHECK(outcome(pair.here().try_start(largest, {}, kPatience)) == "would_block");
      // All are cancelled, and some begun anew before that is read.
      if (round % 3 == 0) here.clear();
      if (round % 3 == 1) there.clear();
      (void)pair.here().dispatch();
      (void)pair.there().dispatch();
      for (std::uint32_t i = 0; i < credits; ++i) {
        if (round % 3 != 1) must(must(pair.here().accept(kPatience)).reply(largest));
        if (round % 3 != 0) must(must(pair.there().accept(kPatience)).reply(largest));
      }
      CHECK(outcome(pair.here().try_accept()) == "would_block");
      CHECK(outcome(pair.there().try_accept()) == "would_block");
      for (auto& pending : here)
        CHECK(text_of(pending.get()) == largest);
      for (auto& pending : there)
        CHECK(text_of(pending.get()) == largest);
    }
  }
}

TEST_CASE("link, rule 5: requests that nobody accepts keep no reply waiting") {
  LinkPair pair;
  std::vector<mews::PendingReply> unaccepted;
  for (std::uint32_t i = 0; i < pair.there().credits(); ++i)
    unaccepted.push_back(must(pair.there().try_start("x", {}, kPatience)));
  pair.serve();
  for (int i = 0; i < 100; ++i)
    REQUIRE(text_of(pair.here().call("y", {.type = kEcho}, kPatience)) == "y");
}

TEST_CASE("link, rule 6: deadlines travel, and an expired request is not begun") {
  LinkPair pair;
  SECTION("the callee sees it") {
    const mews::Deadline deadline(10s);
    auto pending = must(pair.here().start("x", {}, deadline));
    auto request = must(pair.there().accept(kPatience));
    CHECK(request.deadline().at() >= deadline.at());
    CHECK(request.deadline().at() <= deadline.at() + 17us);
    CHECK(!request.is_cancelled());
    auto second = must(pair.here().start("y", {}, mews::forever));
    CHECK(must(pair.there().accept(kPatience)).deadline().is_forever());
  }
  SECTION("one that has passed") {
    auto late = must(pair.here().start("late", {}, 1ms));
    auto in_time = must(pair.here().start("in time", {}, kPatience));
    std::this_thread::sleep_for(20ms);
    CHECK(must(pair.there().accept(kPatience)).text() == "in time");
    const auto reply = late.get();
    CHECK(outcome(reply) == "timed_out");
    CHECK(!reply.error().was_started());
  }
  SECTION("a nested call ends with the request") {
    auto pending = must(pair.here().start("x", {.type = kCallBack}, 50ms));
    auto request = must(pair.there().accept(kPatience));
    auto link = must(request.link());
    CHECK(outcome(link.call("nobody accepts it")) == "timed_out");
    CHECK(outcome(pending.get()) == "timed_out");
  }
}

TEST_CASE("link, rule 7: a cancel is prompt for the caller, and the callee can see it") {
  LinkPair pair;
  auto pending = must(pair.here().start("x", {.type = kHang}, mews::forever));
  auto request = must(pair.there().accept(kPatience));
  CHECK(!request.is_cancelled());
  SECTION("by asking") {
    pending.cancel();
    CHECK(pending.is_empty());
    CHECK(request.is_cancelled());
    CHECK(pair.here().open_calls() == 1);  // until it is answered
    must(request.fail(ErrorCode::cancelled));
    (void)pair.here().dispatch();
    CHECK(pair.here().open_calls() == 0);
  }
  SECTION("by a stop token, in a thread that waits on the link") {
    const auto token = request.stop_token();
    std::atomic<int> stops = 0;
    const std::stop_callback on_stop(token, [&] {
      ++stops;
      // The user's code may use the link.
      (void)pair.there().try_start("from the callback", {}, kPatience);
    });
    std::thread other([link = pair.there()]() mutable { (void)link.accept(kPatience); });
    CHECK(!token.stop_requested());
    pending.cancel();
    CHECK(eventually([&] { return token.stop_requested(); }));
    CHECK(stops == 1);
    auto last = must(pair.here().start("end"));
    other.join();
  }
  SECTION("by the end of the caller") {
    const auto token = request.stop_token();
    pending.cancel();
    pair.end();
    CHECK(request.is_cancelled());
    CHECK(token.stop_requested());
    CHECK(outcome(request.reply()) == "closed");
  }
  SECTION("before it is accepted") {
    auto second = must(pair.here().start("never seen"));
    second.cancel();
    auto third = must(pair.here().start("third"));
    CHECK(must(pair.there().dispatch()));
    CHECK(must(pair.there().accept(kPatience)).text() == "third");
  }
}
