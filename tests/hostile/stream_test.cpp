// SPDX-License-Identifier: MIT
// A plugin that forges the records of streams.
#include <string>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "forger.hpp"

using namespace hostile_test;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Forged {
  RecordKind kind;
  CallId id;
  std::size_t bytes = 10;
};
using Records = std::vector<Forged>;

struct Case {
  std::string what;
  Records records;
  std::string why;
};

/// Of the stream in slot 0 that the host opened, as its acceptor writes it.
CallId ours(std::uint32_t detail = 0) {
  return {.slot = 0, .generation = 1, .detail = detail, .is_readers = true};
}
/// Of the one that the plugin opened in slot 2.
CallId theirs(std::uint32_t detail = 0) {
  return {.slot = 2, .generation = 1, .detail = detail};
}
constexpr CallId kAccept{.slot = 0, .generation = 1, .detail = 4};

void forge_all(Forger& evil, const Records& records) {
  for (const auto& record : records)
    REQUIRE(evil.forge(record.kind, record.id, record.bytes));
}

Records times(std::size_t count, const Forged& record) {
  return Records(count, record);
}

}  // namespace

TEST_CASE("forged stream: what the following tests forge is taken while it is right") {
  Forger evil;
  auto opened = must(evil.link().open("x", {}, kPatience));
  forge_all(evil, {{RecordKind::accept, kAccept, 0}, {RecordKind::data, ours(), 2'000}});
  CHECK(must(opened.receive(kPatience)).size() == 2'000);
  must(opened.send("y", kPatience));
  must(opened.send("z", kPatience));
  forge_all(evil, {{RecordKind::window, ours(2), 0}, {RecordKind::finish, ours(), 0}});
  CHECK(must(opened.receive(kPatience)).size() == 0);
  must(opened.finish());
  REQUIRE(evil.forge(RecordKind::reply, {.slot = 0, .generation = 1}, 0));
  must(opened.wait_over(kPatience));
  opened = mews::Stream();
  (void)evil.link().dispatch();
  CHECK(evil.link().open_calls() == 0);

  REQUIRE(evil.forge(RecordKind::open, {.slot = 2, .generation = 1, .detail = 4}));
  auto request = must(evil.link().accept(1s));
  REQUIRE(evil.forge(RecordKind::finish, theirs(), 0));
  (void)evil.link().dispatch();
  auto accepted = must(request.accept_stream());
  CHECK(must(accepted.receive(kPatience)).size() == 0);
  REQUIRE(evil.forge(RecordKind::cancel, theirs(), 0));
  CHECK(outcome(accepted.send("x", kPatience)) == "ok");
  (void)evil.link().dispatch();
  CHECK(outcome(accepted.send("x", kPatience)) == "reset");
}

TEST_CASE("forged stream: of one that the host opened, what is out of turn cuts its sender off") {
  const Forged accept{RecordKind::accept, kAccept, 0};
  const auto data = RecordKind::data;
  std::vector<Case> cases{
      {"a slot past the table",
       {{data, {.slot = kCredits, .generation = 1, .is_readers = true}}},
       "a stream past the table"},
      {"a free slot",
       {{data, {.slot = 1, .generation = 1, .is_readers = true}}},
       "a record of a stream that is not open"},
      {"the next generation",
       {accept, {data, {.slot = 0, .generation = 2, .is_readers = true}}},
       "a record of a stream that is not open"},
      {"a second acceptance", {accept, accept}, "a stream accepted twice"},
      {"an acceptance past the table",
       {{RecordKind::accept, {.slot = 63, .generation = 1}, 0}},
       "a stream past the table"},
      {"an acceptance of a free slot",
       {{RecordKind::accept, {.slot = 3, .generation = 0}, 0}},
       "a record of a stream that is not open"},
      {"an empty piece", {accept, {data, ours(), 0}}, "an empty piece of a stream"},
      {"data after the end",
       {accept, {RecordKind::finish, ours(), 0}, {data, ours()}},
       "data of a stream after its end"},
      {"a second end",
       {accept, {RecordKind::finish, ours(), 0}, {RecordKind::finish, ours(), 0}},
       "a second end of a stream"},
      {"a confirmation of nothing",
       {accept, {RecordKind::window, ours(0), 0}},
       "a confirmation of more than was sent"},
      {"a confirmation of one",
       {accept, {RecordKind::window, ours(1), 0}},
       "a confirmation of more than was sent"},
      {"a confirmation of very many",
       {accept, {RecordKind::window, ours(0xffff'ffff), 0}},
       "a confirmation of more than was sent"},
      {"an answer before the end",
       {accept, {RecordKind::reply, {.slot = 0, .generation = 1}, 5'000}},
       "answered before its end"},
      {"an answer in the place of an acceptance",
       {{RecordKind::reply, {.slot = 0, .generation = 1}}},
       "answered before its end"},
      {"data after a refusal",
       {{RecordKind::failure, {.slot = 0, .generation = 1, .detail = 10}, 0},
        {RecordKind::reply, {.slot = 0, .generation = 1}}},
       "not awaited"}};
  Case seventh{"a seventh piece", times(8, {data, ours()}), "a piece more than a stream may"};
  seventh.records.front() = accept;
  cases.push_back(seventh);
  Case beyond{"data beyond the window",
              {accept, {data, ours(), 3'000}, {data, ours(), 3'000}, {data, ours(), 3'000}},
              "data beyond a stream's window"};
  cases.push_back(beyond);
  for (const auto& test : cases) {
    INFO(test.what);
    Forger evil;
    auto opened = must(evil.link().open("x", {}, kPatience));
    forge_all(evil, test.records);
    (void)evil.link().dispatch();
    CHECK(outcome(opened.send("x", kPatience)) != "ok");
    // What was right can be received; then the error is told.
    mews::Result<mews::Message> piece;
    do {
      piece = opened.receive(kPatience);
    } while (piece && piece->size() > 0);
    piece = mews::Message();
    opened = mews::Stream();
    evil.check_cut_off(test.why);
  }
}

TEST_CASE("forged stream: an acceptance of a call cuts its sender off") {
  Forger evil;
  auto pending = must(evil.link().start("x", {}, kPatience));
  REQUIRE(evil.forge(RecordKind::accept, kAccept, 0));
  CHECK(outcome(pending.get()) == "peer_corrupt");
  evil.check_cut_off("a record of a stream that is not open");
}

TEST_CASE("forged stream: of one that the plugin opened, what is out of turn cuts it off") {
  const Forged open{RecordKind::open, {.slot = 2, .generation = 1, .detail = 4}};
  const auto data = RecordKind::data;
  Records too_many;
  for (std::uint32_t slot = 0; slot < 9; ++slot)
    too_many.push_back({RecordKind::open, {.slot = slot, .generation = 1, .detail = 4}});
  for (const auto& test : std::vector<Case>{
           {"a slot past the table",
            {{data, {.slot = 16, .generation = 1}}},
            "a stream past the table"},
           {"nothing open", {{data, theirs()}}, "a record of a stream that is not open"},
           {"another generation",
            {open, {data, {.slot = 2, .generation = 2}}},
            "a record of a stream that is not open"},
           {"a call's slot",
            {{RecordKind::request, {.slot = 2, .generation = 1}}, {data, theirs()}},
            "a record of a stream that is not open"},
           {"data before the acceptance", {open, {data, theirs()}}, "before it was accepted"},
           {"a confirmation before it", {open, {RecordKind::window, theirs(1), 0}}, "before it"},
           {"two ends before it",
            {open, {RecordKind::finish, theirs(), 0}, {RecordKind::finish, theirs(), 0}},
            "of slot 2"},
           {"a second open in the slot",
            {open, {RecordKind::open, {.slot = 2, .generation = 2}}},
            "slot 2, whose last one is open"},
           {"a stream in a wrong generation",
            {{RecordKind::open, {.slot = 2, .generation = 2}}},
            "request 2 of slot 2"},
           {"a ninth stream", too_many, "a stream more than 8"},
           {"two slabs lent",
            {{RecordKind::lend, theirs(), 5'000}, {RecordKind::lend, theirs(), 5'000}},
            "two slabs lent"},
           {"a slab lent to an open call",
            {open, {RecordKind::lend, theirs(), 5'000}},
            "slot 2, whose last one is open"},
           {"a slab lent past the table",
            {{RecordKind::lend, {.slot = 16, .generation = 1}, 5'000}},
            "slot 16 of 16"}}) {
    INFO(test.what);
    Forger evil;
    forge_all(evil, test.records);
    (void)evil.link().dispatch();
    evil.check_cut_off(test.why);
  }
}

TEST_CASE("forged stream: what follows the acceptance out of turn cuts the opener off") {
  const auto data = RecordKind::data;
  for (const auto& test : std::vector<Case>{
           {"a seventh piece", times(7, {data, theirs()}), "a piece more than a stream may"},
           {"beyond the window", times(3, {data, theirs(), 3'000}), "beyond a stream's window"},
           {"after the end",
            {{RecordKind::finish, theirs(), 0}, {data, theirs()}},
            "data of a stream after its end"},
           {"a confirmation of more", {{RecordKind::window, theirs(2), 0}}, "more than was sent"},
           {"a second cancel",
            {{RecordKind::cancel, theirs(), 0}, {RecordKind::cancel, theirs(), 0}},
            "a second cancel"}}) {
    for (const bool is_received : {false, true}) {
      INFO(test.what << ", received meanwhile: " << is_received);
      Forger evil;
      REQUIRE(evil.forge(RecordKind::open, {.slot = 2, .generation = 1, .detail = 4}));
      auto accepted = must(must(evil.link().accept(1s)).accept_stream());
      must(accepted.send("one piece", kPatience));
      if (is_received) accepted.reset();
      forge_all(evil, test.records);
      (void)evil.link().dispatch();
      // After its answer the host takes no notice of what is under way.
      if (is_received && test.records.back().kind != RecordKind::cancel) continue;
      accepted = mews::Stream();
      evil.check_cut_off(test.why);
    }
  }
}

TEST_CASE("forged stream: any records at all leave a host that goes on") {
  mews_test::Random random(mews_test::make_seed("hostile stream"));
  const auto rounds = mews_test::scaled(200);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    Forger evil;
    std::vector<mews::Stream> streams;
    std::vector<mews::Request> requests;
    for (int step = 0; step < 80; ++step) {
      const auto stream = streams.empty() ? 0 : random() % streams.size();
      switch (random() % 8) {
        case 0:
          if (auto opened = evil.link().try_open("x")) streams.push_back(std::move(*opened));
          break;
        case 1:
          if (auto accepted = evil.link().try_accept()) requests.push_back(std::move(*accepted));
          break;
        case 2:
          if (requests.empty()) break;
          if (auto accepted = requests.back().accept_stream()) {
            streams.push_back(std::move(*accepted));
          } else {
            (void)requests.back().reply("y");
          }
          requests.pop_back();
          break;
        case 3:
          if (!streams.empty())
            (void)streams[stream].try_send(std::string(1 + static_cast<std::size_t>(step), 'x'));
          break;
        case 4:
          if (streams.empty()) break;
          (void)streams[stream].try_receive();
          if (random() % 4 == 0) (void)streams[stream].finish();
          if (random() % 8 == 0) {
            streams.erase(streams.begin() + static_cast<std::ptrdiff_t>(stream));
          }
          break;
        default: {
          const CallId id{.slot = static_cast<std::uint32_t>(random() % 3),
                          .generation = static_cast<std::uint32_t>(1 + random() % 2),
                          .detail = static_cast<std::uint32_t>(random() % 3),
                          .is_readers = random() % 2 == 0};
          const auto kind = random() % 20 == 0 ? random() % 16 : 5 + random() % 9;
          (void)evil.forge(static_cast<std::uint32_t>(kind), id.pack(),
                           random() % 3 == 0 ? 2'000 : random() % 30);
          break;
        }
      }
    }
    streams.clear();
    requests.clear();
    REQUIRE(evil.stage().good_round_trips().empty());
  }
}
