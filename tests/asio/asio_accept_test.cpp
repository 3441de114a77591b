// SPDX-License-Identifier: MIT
#include <atomic>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "asio_support.hpp"

using namespace asio_test;

namespace {

/// Answers requests until it is asked to end, which it looks for now and then: `cancel` would miss
/// an accept that begins a moment later.
net::awaitable<void> serve(mews::AsyncLink& link, const std::atomic<bool>& is_to_end) {
  while (!is_to_end) {
    auto request = co_await link.async_accept(20ms, kAwait);
    if (!request) continue;
    if (request->type() == kCallBack) {
      auto reply =
          co_await link.async_call(request->bytes(), {.type = kEcho}, request->deadline(), kAwait);
      if (reply) {
        (void)request->reply(std::move(*reply).into_loan());
      } else {
        (void)request->fail(reply.error());
      }
    } else {
      answer(*request);
    }
  }
}

}  // namespace

TEST_CASE("asio: coroutines at both ends serve, and call each other back") {
  LinkPair pair;
  const unsigned threads = GENERATE(1U, 4U);
  std::atomic<int> right{0};
  {
    net::io_context context;
    mews::AsyncLink here(context.get_executor(), pair.here());
    mews::AsyncLink there(context.get_executor(), pair.there());
    std::atomic<bool> is_to_end{false};
    std::atomic<int> callers{8};
    const auto call = [&](int caller) -> net::awaitable<void> {
      for (int i = 0; i < 50; ++i) {
        auto& link = caller % 2 == 0 ? here : there;
        const auto text = std::to_string(caller) + ":" + std::to_string(i);
        const auto reply = co_await link.async_call(text, {.type = kCallBack}, kPatience, kAwait);
        if (text_of(reply) == text) ++right;
      }
      if (--callers == 0) is_to_end = true;
    };
    // Each request needs a coroutine of its own while it calls back.
    for (int i = 0; i < 8; ++i) {
      net::co_spawn(context, serve(here, is_to_end), net::detached);
      net::co_spawn(context, serve(there, is_to_end), net::detached);
    }
    for (int i = 0; i < 8; ++i)
      net::co_spawn(context, call(i), net::detached);
    const Runners runners(context, threads);
  }
  CHECK(right == 400);
}

TEST_CASE("asio: requests that come while only a call waits are kept for the next accept") {
  LinkPair pair;
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), pair.here());
  Told told;
  link.async_call("", {.type = kEcho}, kPatience, told.note());
  auto first = must(pair.there().start("one", {.type = kEcho}, kPatience));
  auto dropped = must(pair.there().start("two", {.type = kEcho}, kPatience));
  auto third = must(pair.there().start("three", {.type = kEcho}, kPatience));
  // The loop sleeps although requests have come: it ends by the time alone.
  context.run_for(50ms);
  CHECK(told.texts.empty());
  dropped.cancel();
  auto request = must(pair.there().accept(kPatience));
  must(request.reply("reply"));
  context.restart();
  context.run();
  CHECK(told.texts == std::vector<std::string>{"reply"});
  std::vector<std::string> asked;
  for (int i = 0; i < 2; ++i) {
    link.async_accept([&](mews::Result<mews::Request> taken) {
      asked.emplace_back(taken ? std::string(taken->text()) : outcome(taken));
      if (taken) answer(*taken);
    });
  }
  context.restart();
  context.run();
  CHECK(asked == std::vector<std::string>{"one", "three"});
  CHECK(text_of(first.get()) == "one");
  CHECK(text_of(third.get()) == "three");
}

TEST_CASE("asio: an accept ends at its deadline, and when the other end has gone") {
  LinkPair pair;
  net::io_context context;
  mews::AsyncLink link(context.get_executor(), pair.here());
  std::vector<std::string> outcomes;
  const auto note = [&](const mews::Result<mews::Request>& request) {
    outcomes.push_back(outcome(request));
  };
  link.async_accept(10ms, note);
  context.run();
  CHECK(outcomes == std::vector<std::string>{"timed_out"});
  link.async_accept(note);
  link.async_accept(note);
  (void)pair.there().start("last", {}, kPatience);
  pair.end_plugin();
  context.restart();
  context.run();
  REQUIRE(outcomes.size() == 3);
  CHECK(outcomes.back() == "closed");
}

TEST_CASE("asio: a channel's messages go to the receives in order, and its end to the next") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("fonts"));
  net::io_context context;
  mews::AsyncChannel channel(context.get_executor(), std::move(plugin.channel()));
  Told told;
  for (int i = 0; i < 3; ++i)
    channel.async_receive(told.note());
  channel.async_receive(10ms, told.note());
  context.run_for(50ms);
  CHECK(told.texts == std::vector<std::string>{"timed_out"});
  for (const char* text : {"a", "b"})
    must(guest.channel().send(bytes_of(text)));
  REQUIRE(run_until(context, [&] { return told.texts.size() == 3; }));
  CHECK(told.texts[1] == "a");
  CHECK(told.texts[2] == "b");
  must(channel.channel().send(bytes_of("back")));
  CHECK(must(guest.channel().receive(kPatience)).text() == "back");
  SECTION("cancelled") {
    channel.cancel();
    context.restart();
    context.run();
    CHECK(told.texts.back() == "cancelled");
  }
  SECTION("closed") {
    must(guest.channel().close());
    context.restart();
    context.run();
    CHECK(told.texts.back() == "closed");
  }
  SECTION("a coroutine receives a stream") {
    channel.cancel();
    const auto receive = [&]() -> net::awaitable<void> {
      for (std::uint64_t i = 0; i < 1000; ++i) {
        const auto message = co_await channel.async_receive(kAwait);
        const bool is_right = message && is_filled(message->bytes(), i);
        if (!is_right) co_return;
      }
      told.texts.emplace_back("all");
    };
    net::co_spawn(context, receive, net::detached);
    std::thread sender([&] {
      for (std::uint64_t i = 0; i < 1000; ++i) {
        auto loan = must(guest.channel().loan(i, kPatience));
        fill(loan.bytes(), i);
        must(guest.channel().send(std::move(loan), {}, kPatience));
      }
    });
    context.restart();
    context.run();
    sender.join();
    CHECK(told.texts.back() == "all");
  }
}

TEST_CASE("asio: the death of a plugin's process ends a receive") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/role_plugin", "echo"}));
  net::io_context context;
  mews::AsyncChannel channel(context.get_executor(), std::move(plugin.channel()));
  Told told;
  must(channel.channel().send(bytes_of("x")));
  channel.async_receive(told.note());
  channel.async_receive(told.note());
  REQUIRE(run_until(context, [&] { return told.texts.size() == 1; }));
  CHECK(told.texts[0] == "x");
  must(plugin.kill(SIGKILL));
  context.restart();
  context.run();
  CHECK(told.texts.back() == "peer_died");
}
