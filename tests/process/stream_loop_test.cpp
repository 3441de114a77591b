// SPDX-License-Identifier: MIT
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "stream_support.hpp"

using namespace process_test;

TEST_CASE("stream, loop: each function is called once, when it is due, and not before") {
  LinkPair pair;
  auto [here, there] = open_stream(pair);
  auto& link = pair.here();
  int readable = 0, writable = 0, over = 0;
  REQUIRE(here.on_readable([&] { ++readable; }));
  CHECK(!here.on_writable([&] { ++writable; }));  // it is so now
  REQUIRE(here.on_over([&] { ++over; }));
  (void)link.dispatch();
  CHECK(readable == 0);
  REQUIRE(must(link.arm_event()));
  must(there.send("x", kPatience));
  must(there.send("y", kPatience));
  REQUIRE(becomes_readable(link.event_fd()));
  (void)link.dispatch();
  (void)link.dispatch();
  CHECK(readable == 1);
  CHECK(!here.on_readable([&] { ++readable; }));
  CHECK(must(here.receive(kPatience)).text() == "x");
  CHECK(must(here.receive(kPatience)).text() == "y");
  while (here.try_send("z")) {
  }
  REQUIRE(here.on_writable([&] { ++writable; }));
  for (int i = 0; i < 6; ++i)
    (void)must(there.receive(kPatience));
  REQUIRE(eventually([&] {
    (void)link.dispatch();
    return writable == 1;
  }));
  CHECK(over == 0);
  must(here.finish());
  must(there.finish());
  (void)link.dispatch();
  CHECK(over == 1);
  CHECK(!here.on_over([&] { ++over; }));
  (void)link.dispatch();
  CHECK(readable == 1);
  CHECK(writable == 1);
  CHECK(over == 1);
}

TEST_CASE("stream, loop: another function takes the place of the first, and none outlives a drop") {
  LinkPair pair;
  auto [here, there] = open_stream(pair);
  int first = 0, second = 0;
  REQUIRE(here.on_readable([&] { ++first; }));
  REQUIRE(here.on_readable([&] { ++second; }));
  must(there.send("x", kPatience));
  (void)pair.here().dispatch();
  CHECK(first == 0);
  CHECK(second == 1);
  (void)must(here.receive(kPatience));
  REQUIRE(here.on_readable([&] { ++first; }));
  REQUIRE(here.on_over([&] { ++first; }));
  must(there.send("x", kPatience));
  // Taken in and due, but not called: another thread has looked.
  std::thread([&, &end = here] { (void)end.wait_over(1ms); }).join();
  here = mews::Stream();
  (void)pair.here().dispatch();
  CHECK(first == 0);
  there = mews::Stream();
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream, loop: a function may drop its stream, or use the link") {
  LinkPair pair;
  std::optional<Streams> streams(open_stream(pair));
  auto kept = std::make_shared<mews::Stream>(std::move(streams->here));
  int called = 0;
  std::optional<mews::Stream> next;
  REQUIRE(kept->on_readable([&called, &pair, &next, &kept] {
    ++called;
    next = must(pair.here().try_open("next"));
    kept.reset();
  }));
  must(streams->there.send("x", kPatience));
  (void)pair.here().dispatch();
  CHECK(called == 1);
  CHECK(!kept);
  CHECK(must(pair.there().accept(kPatience)).text() == "next");
  CHECK(outcome(streams->there.receive(kPatience)) == "reset");
  // One that owns its own stream goes with the link.
  auto self = std::make_shared<mews::Stream>(must(pair.here().open("self", {}, kPatience)));
  REQUIRE(self->on_over([self] {}));
  must(must(pair.there().accept(kPatience)).fail("no"));
  self.reset();
  streams.reset();
  next.reset();
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream, loop: a reset, a refusal and the link's end are told") {
  LinkPair pair;
  auto [here, there] = open_stream(pair);
  auto refused = must(pair.here().open("x", {}, kPatience));
  int told = 0;
  REQUIRE(here.on_readable([&] { ++told; }));
  REQUIRE(here.on_over([&] { ++told; }));
  REQUIRE(refused.on_writable([&] { ++told; }));
  REQUIRE(refused.on_readable([&] { ++told; }));
  SECTION("a reset and a refusal") {
    there.reset();
    must(must(pair.there().accept(kPatience)).fail("no"));
  }
  SECTION("the end") {
    there = mews::Stream();
    pair.end_plugin();
  }
  SECTION("a reset by this end") {
    here.reset();
    refused.reset();
  }
  (void)pair.here().dispatch();
  CHECK(told == 4);
}

TEST_CASE("stream, loop: all data of many streams comes through a loop") {
  LinkPair pair;
  constexpr std::size_t kStreams = 6;
  const auto count = mews_test::scaled(800);
  std::vector<Streams> streams;
  for (std::size_t i = 0; i < kStreams; ++i)
    streams.push_back(open_stream(pair));
  std::string errors[kStreams];
  std::vector<std::thread> senders;
  for (std::size_t i = 0; i < kStreams; ++i)
    senders.emplace_back([&, i] { errors[i] = send_pieces(streams[i].there, count, 1'000 * i); });
  std::vector<std::uint64_t> received(kStreams);
  std::vector<bool> is_due(kStreams, true);  // this thread alone dispatches
  std::size_t ended = 0;
  int wrong = 0;
  const mews::Deadline deadline(kPatience);
  const auto drain = [&](std::size_t i) {
    auto& stream = streams[i].here;
    for (;;) {
      const auto piece = stream.try_receive();
      if (!piece) {
        if (outcome(piece) != "would_block") ++wrong;
        return;
      }
      if (piece->size() == 0) {
        ++ended;
        is_due[i] = false;
        return;
      }
      const auto seed = 1'000 * i + received[i]++;
      if (!is_filled(piece->bytes(), seed)) ++wrong;
    }
  };
  std::vector<bool> has_ended(kStreams);
  while (ended < kStreams && wrong == 0 && !deadline.has_passed()) {
    for (std::size_t i = 0; i < kStreams; ++i) {
      if (!is_due[i] || has_ended[i]) continue;
      const auto before = ended;
      drain(i);
      has_ended[i] = ended != before;
      if (has_ended[i]) continue;
      is_due[i] = !streams[i].here.on_readable([&is_due, i] { is_due[i] = true; });
    }
    (void)must(pair.here().dispatch());
    bool is_idle = ended < kStreams;
    for (std::size_t i = 0; i < kStreams; ++i)
      is_idle = is_idle && (has_ended[i] || !is_due[i]);
    if (is_idle && must(pair.here().arm_event())) (void)becomes_readable(pair.here().event_fd());
    (void)must(pair.here().dispatch());
  }
  for (auto& stream : streams)
    if (ended < kStreams) stream.here.reset();
  for (auto& sender : senders)
    sender.join();
  CHECK(wrong == 0);
  CHECK(ended == kStreams);
  for (std::size_t i = 0; i < kStreams; ++i) {
    CHECK(errors[i].empty());
    CHECK(received[i] == count);
  }
  streams.clear();
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream, loop: many threads with a stream each, opened by both ends and in handlers") {
  LinkPair pair;
  pair.serve(4);
  std::vector<std::thread> users;
  std::atomic<int> wrong = 0;
  const auto rounds = mews_test::scaled(40);
  for (unsigned number = 0; number < 4; ++number) {
    users.emplace_back([&, number, link = pair.here()]() mutable {
      for (std::uint64_t round = 0; round < rounds; ++round) {
        auto stream = link.open("x", {.type = kStreamEcho}, kPatience);
        if (!stream) {
          ++wrong;
          continue;
        }
        const auto salt = 1'000 * number + round;
        std::string error;
        std::thread sender([&] { error = send_pieces(*stream, 30, salt); });
        if (!receive_pieces(*stream, 30, salt).empty()) ++wrong;
        sender.join();
        if (!error.empty() || !stream->wait_over(kPatience)) ++wrong;
        if (text_of(link.call("y", {.type = kEcho}, kPatience)) != "y") ++wrong;
      }
    });
  }
  for (auto& user : users)
    user.join();
  CHECK(wrong == 0);
  CHECK(are_streams_back(pair));
}

TEST_CASE("stream, loop: a handler opens a stream to its caller") {
  LinkPair pair;
  std::thread plugin([link = pair.there()]() mutable {
    auto request = link.accept(kPatience);
    if (!request) return;
    auto back = request->link();
    auto stream = back->open("back", {.type = kStreamEcho}, kPatience);
    if (!stream) return;
    (void)stream->send("from the handler", kPatience);
    const auto piece = stream->receive(kPatience);
    (void)stream->finish();
    (void)stream->wait_over(kPatience);
    (void)request->reply(piece ? piece->bytes() : std::span<const std::byte>());
  });
  std::thread server([link = pair.here()]() mutable {
    if (auto request = link.accept(kPatience)) serve_stream(*request);
  });
  CHECK(text_of(pair.here().call("x", {}, kPatience)) == "from the handler");
  plugin.join();
  server.join();
  CHECK(are_streams_back(pair));
}
