// SPDX-License-Identifier: MIT
#include <atomic>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "asio_support.hpp"

using namespace asio_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("asio: a callback gets the reply, and not inside the function that calls") {
  LinkPair pair;
  pair.serve();
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), pair.here());
  Told told;
  link.async_call("merlin", {.type = kEcho}, kPatience, told.note());
  CHECK(told.texts.empty());
  // Once there is no operation left, nothing keeps the context.
  context.run();
  CHECK(told.texts == std::vector<std::string>{"merlin"});
  // The link has ended: the error comes by the handler, too.
  pair.end_plugin();
  link.async_call("x", {.type = kFailIt}, kPatience, told.note());
  CHECK(told.texts.size() == 1);
}

TEST_CASE("asio: a future gets the reply, and the other end's failure") {
  LinkPair pair;
  pair.serve();
  net::io_context context;
  const Runners runners(context, 1);
  mews::AsyncLink link(context.get_executor(), pair.here());
  auto reply = link.async_call("hobby", {.type = kEcho}, kPatience, net::use_future);
  CHECK(text_of(reply.get()) == "hobby");
  auto failure = link.async_call("no", {.type = kFailIt}, kPatience, net::use_future);
  CHECK(outcome(failure.get()) == "failed");
}

TEST_CASE("asio: a coroutine gets replies, to bytes and to loans, small and large") {
  LinkPair pair;
  pair.serve();
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), pair.here());
  bool is_done = false;
  const auto ask = [&]() -> net::awaitable<void> {
    for (const std::size_t bytes : {0, 1, 480, 481, 100'000}) {
      const std::string text(bytes, 'k');
      const auto reply = co_await link.async_call(text, {.type = kEcho}, kPatience, kAwait);
      CHECK(text_of(reply) == text);
      auto loan = must(link.link().try_loan(bytes));
      fill(loan.bytes(), bytes);
      const auto back =
          co_await link.async_call(std::move(loan), {.type = kForwardBack}, kPatience, kAwait);
      const bool is_same = back && back->bytes().size() == bytes && is_filled(back->bytes(), bytes);
      CHECK(is_same);
    }
    // What a coroutine begins late was copied early.
    auto late = link.async_call(std::string("late"), {.type = kEcho}, kPatience, kAwait);
    const auto reply = co_await std::move(late);
    CHECK(text_of(reply) == "late");
    is_done = true;
  };
  net::co_spawn(context, ask, net::detached);
  context.run();
  CHECK(is_done);
  CHECK(is_all_back(pair));
}

TEST_CASE("asio: coroutines call 17 plugins at once, and each gets its own replies") {
  mews::CreateOptions options;
  options.max_plugins = 17;
  auto host = must(mews::Session::create(options));
  LinkPlugins plugins(host, 17);
  const unsigned threads = GENERATE(1U, 4U);
  std::atomic<int> right{0};
  {
    net::io_context context;
    std::vector<mews::AsyncLink> links;
    for (auto& link : plugins.links)
      links.emplace_back(context.get_executor(), link);
    const auto ask = [&right](mews::AsyncLink& link, std::string name) -> net::awaitable<void> {
      for (int i = 0; i < 100; ++i) {
        const auto text = name + ":" + std::to_string(i);
        const auto reply = co_await link.async_call(text, {.type = kEcho}, kPatience, kAwait);
        if (text_of(reply) == text) ++right;
      }
    };
    for (std::size_t i = 0; i < links.size(); ++i) {
      for (int j = 0; j < 3; ++j) {
        net::co_spawn(context, ask(links[i], std::to_string(i) + "." + std::to_string(j)),
                      net::detached);
      }
    }
    const Runners runners(context, threads);
  }
  CHECK(right == 17 * 3 * 100);
}

TEST_CASE("asio: the deadline ends a call, which says so, and the loop goes on") {
  LinkPair pair;  // which nobody serves yet: a plugin keeps the deadline, too
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), pair.here());
  std::string error;
  link.async_call("", {.type = kHang}, 20ms,
                  [&](mews::Result<mews::Message> reply) { error = text_of(reply); });
  Told told;
  link.async_call("", {.type = kEcho}, 0ms, told.note());
  context.run();
  CHECK_THAT(error, ContainsSubstring("fonts: hang: no answer"));
  CHECK(told.texts == std::vector<std::string>{"timed_out"});
  pair.serve();
  context.restart();
  link.async_call("again", {.type = kEcho}, kPatience, told.note());
  context.run();
  CHECK(told.texts.back() == "again");
}

TEST_CASE("asio: calls without a credit wait in order, and their deadline says what is open") {
  LinkPair pair({}, {.credits = 2, .types = kLinkTypes});
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), pair.here());
  Told told;
  SECTION("in order") {
    pair.serve();
    std::vector<std::string> asked;
    for (int i = 0; i < 200; ++i) {
      asked.push_back(std::to_string(i));
      link.async_call(asked.back(), {.type = kEcho}, kPatience, told.note());
    }
    context.run();
    CHECK(told.texts == asked);
  }
  SECTION("the deadline of one that waits") {
    std::string error;
    for (int i = 0; i < 2; ++i)
      link.async_call("x", {.type = kEcho}, kPatience, told.note());
    link.async_call("y", {.type = kEcho}, 20ms,
                    [&](mews::Result<mews::Message> reply) { error = text_of(reply); });
    REQUIRE(run_until(context, [&] { return !error.empty(); }));
    CHECK_THAT(error, ContainsSubstring("2 of 2 calls open"));
    CHECK(told.texts.empty());
    pair.serve();
    context.restart();
    context.run();
    CHECK(told.texts == std::vector<std::string>{"x", "x"});
  }
  SECTION("a credit that another thread has had") {
    auto first = must(pair.here().start("a", {.type = kEcho}, mews::forever));
    auto second = must(pair.here().start("b", {.type = kEcho}, mews::forever));
    link.async_call("c", {.type = kEcho}, kPatience, told.note());
    context.poll();
    pair.serve();
    CHECK(text_of(first.get()) == "a");
    context.run();
    CHECK(told.texts == std::vector<std::string>{"c"});
  }
}

TEST_CASE("asio: calls without memory wait for it") {
  LinkPair pair;
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), pair.here());
  std::vector<mews::Loan> all;
  const std::string large(100'000, 'l');
  for (auto loan = pair.here().try_loan(large.size()); loan;
       loan = pair.here().try_loan(large.size())) {
    all.push_back(std::move(*loan));
  }
  Told told;
  link.async_call(large, {.type = kDrop}, kPatience, told.note());
  link.async_call(large, {.type = kDrop}, 10ms, told.note());
  REQUIRE(run_until(context, [&] { return told.texts.size() == 1; }));
  CHECK(told.texts[0] == "timed_out");
  pair.serve();
  all.clear();
  context.restart();
  context.run();
  CHECK(told.texts.back() == "unanswered");
  CHECK(is_all_back(pair));
}

TEST_CASE("asio: a call that asks to be made again is refused, as that would block") {
  LinkPair pair;
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), pair.here());
  Told told;
  link.async_call("x", {.type = kEcho, .retry = mews::Retry::always}, kPatience, told.note());
  context.run();
  CHECK(told.texts == std::vector<std::string>{"invalid_argument"});
}

TEST_CASE("asio: a death ends all operations, and says of each call whether it was begun") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"}));
  auto made = must(mews::Link::over(std::move(plugin.channel()), {.credits = 2}));
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), made);
  std::vector<mews::Error> errors;
  const auto note = [&](const auto& result) { errors.push_back(result.error()); };
  link.async_call("", {.type = kHang}, mews::forever, note);
  link.async_call("", {.type = kEcho}, mews::forever, note);
  link.async_call("", {.type = kEcho}, mews::forever, note);  // has no credit
  link.async_accept(note);
  context.run_for(50ms);
  CHECK(errors.empty());
  must(plugin.kill(SIGKILL));
  context.restart();
  context.run();
  REQUIRE(errors.size() == 4);
  int started = 0;
  for (const auto& error : errors) {
    CHECK(error.code() == mews::ErrorCode::peer_died);
    started += error.was_started() ? 1 : 0;
  }
  CHECK(started == 1);
  // The same for what begins later.
  link.async_call("", {.type = kEcho}, mews::forever, note);
  link.async_accept(note);
  context.restart();
  context.run();
  REQUIRE(errors.size() == 6);
  CHECK(errors.back().code() == mews::ErrorCode::peer_died);
}

TEST_CASE("asio: after `renew` new operations go to the plugin's next process") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"},
                                {.restart = mews::Restart::on_crash}));
  auto made = must(mews::Link::over(plugin));
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), made);
  Told told;
  for (int round = 0; round < 3; ++round) {
    link.async_call("x", {.type = kEcho}, kPatience, told.note());
    context.restart();
    context.run();
    REQUIRE(told.texts.back() == "x");
    link.async_call("", {.type = kDie}, kPatience, told.note());
    context.restart();
    context.run();
    REQUIRE(told.texts.back() == "peer_died");
    must(made.renew(kPatience));
  }
}
