// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "stream_support.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;
using mews::ErrorCode;

namespace {

constexpr std::size_t kSizes[] = {1, 31, 32, 33, 480, 481, 5'000, 300'000, 3'000'000};

/// A piece of each size, made in each way.
void check_sizes(mews::Link& sending_link, mews::Stream& sender, mews::Stream& receiver) {
  for (const std::size_t bytes : kSizes) {
    for (int way = 0; way < 3; ++way) {
      INFO(bytes << " bytes, way " << way);
      std::vector<std::byte> payload(bytes);
      fill(payload, bytes);
      if (way == 0) {
        must(sender.send(payload, kPatience));
      } else {
        auto loan = way == 1 ? must(sender.loan(bytes)) : must(sending_link.loan(bytes));
        std::copy(payload.begin(), payload.end(), loan.bytes().begin());
        must(sender.send(std::move(loan), kPatience));
        CHECK(!loan.is_valid());  // NOLINT: moved from is what is asked
      }
      const auto piece = must(receiver.receive(kPatience));
      REQUIRE(piece.size() == bytes);
      REQUIRE(is_filled(piece.bytes(), bytes));
    }
  }
}

mews::LinkOptions with_window(std::size_t bytes) {
  return {.stream_window = bytes, .types = {{kStreamType, "http"}}};
}

}  // namespace

TEST_CASE("stream: pieces of any size come whole, both ways, from either opener") {
  LinkPair pair;
  SECTION("the host opens") {
    auto [here, there] = open_stream(pair);
    CHECK(here.type() == kStreamType);
    CHECK(there.type() == kStreamType);
    check_sizes(pair.here(), here, there);
    check_sizes(pair.there(), there, here);
  }
  SECTION("the plugin opens") {
    auto [there, here] = open_stream(pair.there(), pair.here());
    check_sizes(pair.here(), here, there);
    check_sizes(pair.there(), there, here);
  }
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream: pieces come in order, both ways at once") {
  LinkPair pair;
  auto [here, there] = open_stream(pair);
  std::string errors[4];
  std::vector<std::thread> threads;
  threads.emplace_back([&, &end = here] { errors[0] = send_pieces(end, 3'000, 1); });
  threads.emplace_back([&, &end = there] { errors[1] = receive_pieces(end, 3'000, 1); });
  threads.emplace_back([&, &end = there] { errors[2] = send_pieces(end, 3'000, 500'000); });
  threads.emplace_back([&, &end = here] { errors[3] = receive_pieces(end, 3'000, 500'000); });
  for (auto& thread : threads)
    thread.join();
  for (const auto& error : errors)
    CHECK(error.empty());
  end_stream({std::move(here), std::move(there)});
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream: an empty piece is not sent") {
  LinkPair pair;
  auto [here, there] = open_stream(pair);
  must(here.send("", kPatience));
  CHECK(outcome(there.try_receive()) == "would_block");
  must(here.send("x", kPatience));
  must(here.send(must(here.loan(0)), kPatience));
  must(here.finish());
  CHECK(texts_of(there) == std::vector<std::string>{"x"});
}

TEST_CASE("stream: each way ends by itself, and the end is told each time") {
  LinkPair pair;
  auto [here, there] = open_stream(pair);
  must(here.send("question", kPatience));
  must(here.finish());
  must(here.finish());
  CHECK(texts_of(there) == std::vector<std::string>{"question"});
  CHECK(must(there.receive(kPatience)).size() == 0);
  CHECK(must(there.try_receive()).size() == 0);
  CHECK(outcome(here.send("x", kPatience)) == "invalid_argument");
  CHECK(outcome(here.try_send("x")) == "invalid_argument");
  // The other way goes on.
  for (int i = 0; i < 20; ++i) {
    must(there.send("answer " + std::to_string(i), kPatience));
    CHECK(must(here.receive(kPatience)).text() == "answer " + std::to_string(i));
  }
  CHECK(outcome(here.wait_over(1ms)) == "timed_out");
  must(there.send("last", kPatience));
  must(there.finish());
  must(there.wait_over(kPatience));
  must(here.wait_over(kPatience));
  // Now it may be dropped at the sender, and nothing is lost.
  there = mews::Stream();
  CHECK(texts_of(here) == std::vector<std::string>{"last"});
  CHECK(must(here.receive(kPatience)).size() == 0);
  CHECK(there.is_empty());
  CHECK(outcome(there.send("x", 1s)) == "invalid_argument");
  CHECK(outcome(there.receive(1s)) == "invalid_argument");
  CHECK(outcome(there.finish()) == "invalid_argument");
  here = mews::Stream();
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream: what is sent waits for acceptance, the end does not") {
  LinkPair pair;
  auto here = must(pair.here().open("hello", {.type = kStreamType}, kPatience));
  CHECK(outcome(here.try_send("x")) == "would_block");
  CHECK(outcome(here.wait_accepted(1ms)) == "timed_out");
  CHECK(outcome(here.send("x", 1ms)) == "timed_out");
  SECTION("an end before it") {
    must(here.finish());
    auto request = must(pair.there().accept(kPatience));
    CHECK(request.is_stream());
    CHECK(request.text() == "hello");
    (void)pair.there().dispatch();
    auto there = must(request.accept_stream());
    CHECK(request.is_answered());
    CHECK(texts_of(there).empty());
    must(there.send("y", kPatience));
    must(there.finish());
    CHECK(texts_of(here) == std::vector<std::string>{"y"});
    must(here.wait_over(kPatience));
  }
  SECTION("a refusal") {
    must(must(pair.there().accept(kPatience)).fail(ErrorCode::permission_denied, "not here"));
    for (const auto& result : {here.wait_accepted(kPatience), here.send("x", kPatience),
                               here.wait_over(kPatience), here.finish()}) {
      REQUIRE(outcome(result) == "permission_denied");
      CHECK_THAT(result.error().message(), ContainsSubstring("not here"));
      CHECK_THAT(result.error().message(), ContainsSubstring("fonts: stream"));
    }
    CHECK(outcome(here.receive(kPatience)) == "permission_denied");
  }
  SECTION("a request that is dropped") {
    { auto request = must(pair.there().accept(kPatience)); }
    CHECK(outcome(here.wait_accepted(kPatience)) == "unanswered");
    CHECK(outcome(here.receive(kPatience)) == "unanswered");
  }
  SECTION("a stream dropped before it") {
    here = mews::Stream();
    (void)pair.there().dispatch();
    auto next = must(pair.here().start("next"));
    CHECK(must(pair.there().accept(kPatience)).text() == "next");
  }
  SECTION("a stream dropped between the request and its acceptance") {
    auto request = must(pair.there().accept(kPatience));
    here = mews::Stream();
    (void)pair.there().dispatch();
    auto there = must(request.accept_stream());
    CHECK(outcome(there.send("x", kPatience)) == "reset");
    CHECK(outcome(there.receive(kPatience)) == "reset");
  }
  here = mews::Stream();
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream: a call is no stream, and a stream no call") {
  LinkPair pair;
  auto pending = must(pair.here().start("x"));
  auto request = must(pair.there().accept(kPatience));
  CHECK(!request.is_stream());
  CHECK(outcome(request.accept_stream()) == "invalid_argument");
  must(request.reply("still a call"));
  CHECK(outcome(request.accept_stream()) == "invalid_argument");
  CHECK(text_of(pending.get()) == "still a call");
  auto here = must(pair.here().open("x", {.type = 5}, kPatience));
  auto opening = must(pair.there().accept(kPatience));
  CHECK(outcome(opening.reply("y")) == "invalid_argument");
  auto there = must(opening.accept_stream());
  must(there.send("still a stream", kPatience));
  CHECK(must(here.receive(kPatience)).text() == "still a stream");
}

TEST_CASE("stream: a sender stops at six pieces, and goes on as they are received") {
  LinkPair pair({}, with_window(1 << 20));
  auto [here, there] = open_stream(pair);
  for (int i = 0; i < 6; ++i)
    must(here.try_send(std::to_string(i)));
  CHECK(outcome(here.try_send("6")) == "would_block");
  const auto late = here.send("6", 5ms);
  REQUIRE(outcome(late) == "timed_out");
  CHECK_THAT(late.error().message(), ContainsSubstring("fonts: stream http"));
  CHECK_THAT(late.error().message(), ContainsSubstring("6 pieces"));
  CHECK_THAT(late.error().message(), ContainsSubstring("not received there"));
  // The other way is free.
  must(there.try_send("free"));
  CHECK(must(here.receive(kPatience)).text() == "free");
  std::string error;
  std::thread sender([&, &end = here] {
    for (int i = 6; i < 100 && error.empty(); ++i)
      error = outcome(end.send(std::to_string(i), kPatience)) == "ok" ? "" : "not sent";
    (void)end.finish();
  });
  const auto texts = texts_of(there);
  sender.join();
  CHECK(error.empty());
  REQUIRE(texts.size() == 100);
  for (std::size_t i = 0; i < 100; ++i)
    CHECK(texts[i] == std::to_string(i));
}

TEST_CASE("stream: a sender stops at a window of bytes, whatever the size of its pieces") {
  LinkPair pair({}, with_window(1024));
  auto [here, there] = open_stream(pair);
  SECTION("one piece larger than the window") {
    for (int i = 0; i < 10; ++i) {
      must(here.send(std::string(100'000, 'x'), kPatience));
      CHECK(outcome(here.try_send("y")) == "would_block");
      CHECK(must(there.receive(kPatience)).size() == 100'000);
    }
  }
  SECTION("small ones that fill it") {
    for (int i = 0; i < 10; ++i) {
      must(here.send(std::string(600, 'x'), kPatience));
      must(here.send(std::string(600, 'x'), kPatience));
      CHECK(outcome(here.try_send("y")) == "would_block");
      CHECK(must(there.receive(kPatience)).size() == 600);
      CHECK(must(there.receive(kPatience)).size() == 600);
    }
  }
  SECTION("all sizes, from a thread") {
    std::string error;
    std::thread sender([&, &end = here] { error = send_pieces(end, 2'000, 9); });
    CHECK(receive_pieces(there, 2'000, 9).empty());
    sender.join();
    CHECK(error.empty());
  }
}

TEST_CASE("stream: waits end at a stop, and say what was waited for") {
  LinkPair pair({}, with_window(1 << 20));
  auto unaccepted = must(pair.here().open("x", {.type = kStreamType}, kPatience));
  auto request = must(pair.there().accept(kPatience));
  auto [here, there] = open_stream(pair);
  const auto nothing = there.receive(5ms);
  REQUIRE(outcome(nothing) == "timed_out");
  CHECK_THAT(nothing.error().message(), ContainsSubstring("stream http: nothing came"));
  const auto too_early = unaccepted.wait_accepted(5ms);
  CHECK_THAT(too_early.error().message(), ContainsSubstring("stream http: not accepted yet"));
  const auto not_over = here.wait_over(5ms);
  CHECK_THAT(not_over.error().message(), ContainsSubstring("not finished by both ends"));
  while (here.try_send("x")) {
  }
  for (int which = 0; which < 4; ++which) {
    INFO("wait " << which);
    std::stop_source stop;
    std::thread stopper([&stop] {
      std::this_thread::sleep_for(5ms);
      stop.request_stop();
    });
    const auto token = stop.get_token();
    std::string ended;
    if (which == 0) ended = outcome(here.send("x", mews::forever, token));
    if (which == 1) ended = outcome(here.receive(mews::forever, token));
    if (which == 2) ended = outcome(here.wait_over(mews::forever, token));
    if (which == 3) ended = outcome(unaccepted.wait_accepted(mews::forever, token));
    stopper.join();
    CHECK(ended == "cancelled");
  }
}

TEST_CASE("stream: a slow reader of one delays no call and no other stream") {
  LinkPair pair;
  auto slow = open_stream(pair);
  auto quick = open_stream(pair);
  while (slow.here.try_send("x")) {
  }
  while (slow.there.try_send("x")) {
  }
  pair.serve();
  for (int i = 0; i < 200; ++i) {
    REQUIRE(text_of(pair.here().call("y", {.type = kEcho}, kPatience)) == "y");
    must(quick.here.send("z", kPatience));
    REQUIRE(must(quick.there.receive(kPatience)).text() == "z");
  }
  must(slow.here.finish());
  CHECK(texts_of(slow.there).size() == 6);
}

TEST_CASE("stream: eight are open at once, a ninth waits, and calls go on") {
  LinkPair pair;
  std::vector<Streams> streams;
  for (int i = 0; i < 8; ++i)
    streams.push_back(open_stream(pair));
  std::vector<Streams> back;
  for (int i = 0; i < 8; ++i)
    back.push_back(open_stream(pair.there(), pair.here()));
  CHECK(outcome(pair.here().try_open("x")) == "would_block");
  const auto late = pair.here().open("x", {}, 10ms);
  REQUIRE(!late);
  CHECK_THAT(late.error().message(), ContainsSubstring("8 of them streams, which is the most"));
  CHECK(outcome(pair.here().open("x", {}, 5ms)) == "timed_out");
  std::vector<mews::PendingReply> calls;
  for (int i = 0; i < 8; ++i)
    calls.push_back(must(pair.here().try_start("x", {.type = kEcho}, kPatience)));
  CHECK(outcome(pair.here().try_start("x", {}, kPatience)) == "would_block");
  std::optional<mews::Stream> ninth;
  std::thread opener([&] {
    if (auto opened = pair.here().open("ninth", {}, kPatience)) ninth = std::move(*opened);
  });
  pair.serve();
  for (auto& call : calls)
    CHECK(text_of(call.get()) == "x");
  CHECK(outcome(pair.here().try_open("x")) == "would_block");
  end_stream(std::move(streams.back()));
  streams.pop_back();
  opener.join();
  REQUIRE(ninth);
  // It is refused as a request that is served by no one.
  CHECK(outcome(ninth->wait_accepted(kPatience)) == "unanswered");
  ninth.reset();
  for (auto* list : {&streams, &back})
    for (auto& [here, there] : *list) {
      must(here.send("x", kPatience));
      CHECK(must(there.receive(kPatience)).text() == "x");
    }
  streams.clear();
  back.clear();
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream: rings of 128 cells hold none, and say so") {
  mews::CreateOptions options;
  options.ring_cells = 128;
  LinkPair pair(options);
  const auto opened = pair.here().open("x");
  REQUIRE(outcome(opened) == "invalid_argument");
  CHECK_THAT(opened.error().message(), ContainsSubstring("256 cells"));
}
