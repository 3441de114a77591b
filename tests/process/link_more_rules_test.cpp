// SPDX-License-Identifier: MIT
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "link_support.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("link, rule 8: a death ends each call, and says whether it was begun") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"}));
  auto link = must(mews::Link::over(std::move(plugin.channel()), {.types = kLinkTypes}));
  CHECK(text_of(link.call("x", {.type = kEcho}, kPatience)) == "x");
  // The first is in work, the others wait in the plugin or in its lane.
  auto begun = must(link.start("", {.type = kHang}, mews::forever));
  std::vector<mews::PendingReply> waiting;
  for (int i = 0; i < 5; ++i)
    waiting.push_back(must(link.start("y", {.type = kEcho}, mews::forever)));
  CHECK(outcome(begun.wait(50ms)) == "timed_out");
  must(plugin.kill(SIGKILL));
  const auto first = begun.get();
  REQUIRE(outcome(first) == "peer_died");
  CHECK(first.error().was_started());
  CHECK_THAT(first.error().message(), ContainsSubstring("fonts: hang, taken"));
  CHECK_THAT(first.error().message(), ContainsSubstring("signal 9"));
  for (auto& pending : waiting) {
    const auto reply = pending.get();
    REQUIRE(outcome(reply) == "peer_died");
    CHECK(!reply.error().was_started());
    CHECK_THAT(reply.error().message(), ContainsSubstring("fonts: echo, not taken"));
  }
  CHECK(outcome(link.call("x", {}, kPatience)) == "peer_died");
  CHECK(outcome(link.accept(kPatience)) == "peer_died");
  CHECK(outcome(link.dispatch()) == "peer_died");
  CHECK(link.open_calls() == 0);
}

TEST_CASE("link, rule 8: replies that were sent before a death are delivered") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"}));
  auto link = must(mews::Link::over(std::move(plugin.channel())));
  std::vector<mews::PendingReply> pending;
  for (int i = 0; i < 10; ++i)
    pending.push_back(must(link.start("1000", {.type = kMore}, kPatience)));
  auto last = must(link.start("", {.type = kDie}, kPatience));
  must(plugin.wait_exit(kPatience));
  for (auto& one : pending) {
    const auto reply = one.get();
    REQUIRE(outcome(reply) == "ok");
    CHECK(is_filled(reply->bytes(), 7));
  }
  CHECK(outcome(last.get()) == "peer_died");
}

TEST_CASE("link, rule 9: back-pressure has a name") {
  LinkPair pair({}, {.credits = 2, .types = kLinkTypes});
  auto first = must(pair.here().start("x", {.type = kEcho}, mews::forever));
  auto second = must(pair.here().start("y", {.type = kHang}, mews::forever));
  const auto refused = pair.here().start("z", {.type = kEcho}, 20ms);
  REQUIRE(outcome(refused) == "timed_out");
  CHECK_THAT(refused.error().message(),
             ContainsSubstring("fonts: 2 of 2 calls open, the oldest echo for"));
  CHECK_THAT(refused.error().message(), ContainsSubstring(", not taken"));
  auto request = must(pair.there().accept(kPatience));
  CHECK_THAT(pair.here().start("z", {}, 20ms).error().message(), ContainsSubstring(", taken"));
  SECTION("a credit is free once the answer has been collected") {
    std::thread caller([&pair] {
      auto started = pair.here().start("z", {.type = kEcho}, kPatience);
      if (!started) std::abort();
    });
    must(request.reply("x"));
    CHECK(text_of(first.get()) == "x");
    caller.join();
  }
  SECTION("an answer that nobody collects is named, too") {
    must(request.reply("x"));
    CHECK_THAT(pair.here().start("z", {}, 20ms).error().message(),
               ContainsSubstring("1 of them answered and not collected"));
  }
}

TEST_CASE("link, rule 10: requests arrive in order, replies in any") {
  LinkPair pair;
  std::vector<mews::PendingReply> pending;
  for (int i = 0; i < 10; ++i)
    pending.push_back(must(pair.here().start(std::to_string(i))));
  std::vector<mews::Request> requests;
  for (int i = 0; i < 10; ++i) {
    requests.push_back(must(pair.there().accept(kPatience)));
    CHECK(requests.back().text() == std::to_string(i));
  }
  for (int i = 9; i >= 0; --i)
    must(requests[static_cast<std::size_t>(i)].reply(std::to_string(i)));
  for (int i = 0; i < 10; ++i)
    CHECK(text_of(pending[static_cast<std::size_t>(i)].get()) == std::to_string(i));
}

TEST_CASE("link, rule 11: nothing of the user's runs inside another call") {
  LinkPair pair;
  std::atomic<int> done = 0;
  auto first = must(pair.here().start("x"));
  REQUIRE(first.on_ready([&] {
    ++done;
    CHECK(text_of(first.get()) == "x");
    // The link is not locked, nor led.
    (void)pair.here().try_start("y", {}, kPatience);
  }));
  REQUIRE(must(pair.here().arm_event()));
  must(must(pair.there().accept(kPatience)).reply("x"));
  std::thread server([&pair] { must(must(pair.there().accept(kPatience)).reply("z")); });
  CHECK(text_of(pair.here().call("z", {}, kPatience)) == "z");
  server.join();
  CHECK(done == 0);
  CHECK(first.is_ready());
  CHECK(is_readable(pair.here().event_fd()));
  (void)pair.here().dispatch();
  CHECK(done == 1);
  (void)pair.here().dispatch();
  CHECK(done == 1);
  SECTION("not once it is dropped") {
    auto second = must(pair.here().start("x"));
    REQUIRE(second.on_ready([&] { ++done; }));
    second.cancel();
    (void)pair.there().dispatch();
    (void)pair.here().dispatch();
    CHECK(done == 1);
  }
  SECTION("also when its owner waits for it itself") {
    auto second = must(pair.here().start("x", {}, kPatience));
    REQUIRE(second.on_ready([&] { ++done; }));
    (void)must(pair.there().accept(kPatience)).reply("y");  // the callback's
    must(must(pair.there().accept(kPatience)).reply("x"));
    must(second.wait(kPatience));
    CHECK(done == 1);
    (void)pair.here().dispatch();
    CHECK(done == 2);
  }
  SECTION("not when it is ready already") {
    auto second = must(pair.here().start("x", {}, kPatience));
    (void)must(pair.there().accept(kPatience)).reply("y");  // the callback's
    must(must(pair.there().accept(kPatience)).reply("x"));
    CHECK(second.is_ready());
    CHECK(!second.on_ready([&] { ++done; }));
    CHECK(done == 1);
  }
}

TEST_CASE("link, rule 12: single-threaded ends call each other back") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"}));
  auto link = must(mews::Link::over(std::move(plugin.channel())));
  std::vector<mews::PendingReply> pending;
  for (int i = 0; i < 8; ++i)
    pending.push_back(
        must(link.start("back " + std::to_string(i), {.type = kCallBack}, kPatience)));
  // The calls back are answered before the first of these is waited for: one thread, both roles.
  for (int i = 0; i < 8; ++i) {
    auto request = must(link.accept(kPatience));
    CHECK(request.text() == "back " + std::to_string(i));
    answer(request);
  }
  for (int i = 0; i < 8; ++i)
    CHECK(text_of(pending[static_cast<std::size_t>(i)].get()) == "back " + std::to_string(i));
}

TEST_CASE("link, rule 12: many threads at both ends, each gets its own") {
  LinkPair pair({}, {.credits = 4, .types = kLinkTypes});
  pair.serve(3);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  std::stop_source stop;
  std::thread server([&stop, link = pair.here()]() mutable {
    (void)link.serve(answer, kPatience, stop.get_token());
  });
  for (unsigned number = 0; number < 5; ++number) {
    threads.emplace_back([&wrong, number, link = pair.here()]() mutable {
      for (std::uint32_t i = 0; i < 400; ++i) {
        const auto text = std::to_string(number) + ": " + std::to_string(i);
        const auto type = i % 3 == 0 ? kCallBack : kEcho;
        if (text_of(link.call(text, {.type = type}, kPatience)) != text) ++wrong;
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  CHECK(wrong == 0);
  stop.request_stop();
  server.join();
}
