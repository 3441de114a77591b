// SPDX-License-Identifier: MIT
// A plugin that forges a link's records: it sends ordinary messages, and changes their kind before
// the host looks.
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "forger.hpp"

using namespace hostile_test;
using Catch::Matchers::ContainsSubstring;
using mews::layout::CallId;
using mews::layout::RecordKind;

TEST_CASE("forged link: what the following tests forge is taken while it is right") {
  Forger evil;
  auto pending = must(evil.link().start("x", {}, kPatience));
  REQUIRE(evil.forge(RecordKind::reply, {.slot = 0, .generation = 1}, 5'000));
  CHECK(must(pending.get()).size() == 5'000);
  REQUIRE(evil.forge(RecordKind::request, {.slot = 15, .generation = 1}, 20));
  auto request = must(evil.link().try_accept());
  REQUIRE(evil.forge(RecordKind::cancel, {.slot = 15, .generation = 1}, 0));
  CHECK(request.is_cancelled());
  CHECK(outcome(evil.link().call("x", {}, 10ms)) == "timed_out");
}

TEST_CASE("forged link: an answer that is not awaited cuts its sender off") {
  struct Case {
    std::string what;
    CallId id;
    std::string why;
  };
  for (const auto kind : {RecordKind::reply, RecordKind::failure}) {
    for (const auto& test : std::vector<Case>{
             {"a slot past the table", {.slot = kCredits, .generation = 1}, "slot 4 of 4"},
             {"the largest slot", {.slot = 191, .generation = 1}, "slot 191 of 4"},
             {"a free slot", {.slot = 1, .generation = 1}, "not awaited"},
             {"generation 0", {.slot = 0, .generation = 0}, "not awaited"},
             {"the next generation", {.slot = 0, .generation = 2}, "not awaited"},
             {"the largest generation", {.slot = 0, .generation = 0xffffff}, "not awaited"}}) {
      for (const std::size_t bytes : {10u, 5'000u}) {
        INFO(test.what << ", " << bytes << " bytes");
        Forger evil;
        auto pending = must(evil.link().start("x", {}, kPatience));
        REQUIRE(evil.forge(kind, test.id, bytes));
        const auto reply = pending.get();
        REQUIRE(outcome(reply) == "peer_corrupt");
        CHECK_THAT(reply.error().message(), ContainsSubstring(test.why));
        evil.check_cut_off(test.why);
      }
    }
  }
}

TEST_CASE("forged link: a second answer, and a code that is none, cut their sender off") {
  SECTION("before the first is collected") {
    Forger evil;
    auto pending = must(evil.link().start("x", {}, kPatience));
    REQUIRE(evil.forge(RecordKind::reply, {.slot = 0, .generation = 1}, 5'000));
    REQUIRE(evil.forge(RecordKind::reply, {.slot = 0, .generation = 1}, 5'000));
    (void)evil.link().dispatch();
    CHECK(must(pending.get()).size() == 5'000);  // what was right stays
    evil.check_cut_off("not awaited");
  }
  SECTION("after the first was dropped") {
    Forger evil;
    { auto dropped = must(evil.link().start("x", {}, kPatience)); }
    REQUIRE(evil.forge(RecordKind::failure, {.slot = 0, .generation = 1}));
    REQUIRE(evil.forge(RecordKind::failure, {.slot = 0, .generation = 1}));
    evil.check_cut_off("not awaited");
  }
  SECTION("a code past the last") {
    Forger evil;
    auto pending = must(evil.link().start("x", {}, kPatience));
    REQUIRE(evil.forge(RecordKind::failure, {.slot = 0, .generation = 1, .detail = 200}));
    CHECK(outcome(pending.get()) == "peer_corrupt");
    evil.check_cut_off("code 200");
  }
}

TEST_CASE("forged link: a request or a cancel out of turn cuts its sender off") {
  struct Case {
    std::string what;
    std::vector<std::pair<RecordKind, CallId>> records;
    std::string why;
  };
  const auto request = RecordKind::request;
  const auto cancel = RecordKind::cancel;
  for (const auto& test : std::vector<Case>{
           {"a request past the table",
            {{request, {.slot = 16, .generation = 1}}},
            "slot 16 of 16"},
           {"a request past all tables", {{request, {.slot = 150, .generation = 1}}}, "slot 150"},
           {"generation 0", {{request, {.slot = 0, .generation = 0}}}, "request 0 of slot 0"},
           {"generation 2", {{request, {.slot = 0, .generation = 2}}}, "request 2 of slot 0"},
           {"a second request in the slot",
            {{request, {.slot = 3, .generation = 1}}, {request, {.slot = 3, .generation = 2}}},
            "slot 3, whose last one is open"},
           {"a cancel past the table", {{cancel, {.slot = 16, .generation = 1}}}, "slot 16 of 16"},
           {"a cancel of nothing", {{cancel, {.slot = 0, .generation = 1}}}, "a cancel of call 1"},
           {"a cancel of the next call",
            {{request, {.slot = 0, .generation = 1}}, {cancel, {.slot = 0, .generation = 2}}},
            "a cancel of call 2"}}) {
    INFO(test.what);
    Forger evil;
    for (const auto& [kind, id] : test.records)
      REQUIRE(evil.forge(kind, id));
    (void)evil.link().dispatch();
    evil.check_cut_off(test.why);
  }
}

TEST_CASE("forged link: kinds that do not exist, and plain messages, cut their sender off") {
  for (const std::uint32_t kind : {0u, 1u, 14u, 15u}) {
    INFO("kind " << kind);
    Forger evil;
    REQUIRE(evil.forge(kind, 0));
    const auto called = evil.link().call("x", {}, 1s);
    CHECK(outcome(called) == "peer_corrupt");
    CHECK(evil.stage().good_round_trips().empty());
  }
}

TEST_CASE("forged link: a second cancel cuts its sender off, before the answer and after it") {
  for (const bool is_answered : {false, true}) {
    Forger evil;
    REQUIRE(evil.forge(RecordKind::request, {.slot = 0, .generation = 1}));
    auto request = must(evil.link().accept(1s));
    const auto token = request.stop_token();
    REQUIRE(evil.forge(RecordKind::cancel, {.slot = 0, .generation = 1}, 0));
    CHECK(request.is_cancelled());
    CHECK(token.stop_requested());
    if (is_answered) must(request.reply());
    REQUIRE(evil.forge(RecordKind::cancel, {.slot = 0, .generation = 1}, 0));
    evil.check_cut_off("a second cancel of call 1");
  }
}

TEST_CASE("forged link: a failure's text of any bytes is one line, and has a bound") {
  Forger evil;
  auto pending = must(evil.link().start("x", {}, kPatience));
  REQUIRE(evil.forge(RecordKind::failure, {.slot = 0, .generation = 1}, 32));
  CHECK(outcome(pending.get()) == "would_block");  // code 0, as its program chose
  auto second = must(evil.link().start("x", {}, kPatience));
  REQUIRE(evil.forge(RecordKind::failure, {.slot = 0, .generation = 2}, 5'000));
  CHECK(outcome(second.get()) == "peer_corrupt");
  evil.check_cut_off("a text of 5000 bytes");
}

TEST_CASE("forged link: any records at all leave a host that goes on") {
  mews_test::Random random(20261127);
  for (int round = 0; round < 150; ++round) {
    Forger evil;
    std::vector<mews::PendingReply> pending;
    std::vector<mews::Request> requests;
    for (int step = 0; step < 60; ++step) {
      switch (random() % 6) {
        case 0:
          if (auto started = evil.link().try_start("x", {}, 5ms)) {
            pending.push_back(std::move(*started));
          }
          break;
        case 1:
          if (auto accepted = evil.link().try_accept()) requests.push_back(std::move(*accepted));
          break;
        case 2:
          if (!pending.empty()) {
            (void)pending.back().get();
            pending.pop_back();
          }
          break;
        case 3:
          if (!requests.empty()) {
            (void)requests.back().reply("y");
            requests.pop_back();
          }
          break;
        default: {
          const CallId id{.slot = static_cast<std::uint32_t>(random() % 6),
                          .generation = static_cast<std::uint32_t>(random() % 4),
                          .detail = static_cast<std::uint32_t>(random())};
          // Mostly what could be right.
          const auto kind = random() % 20 == 0 ? random() % 16 : 4 + random() % 5;
          (void)evil.forge(static_cast<std::uint32_t>(kind), id.pack(),
                           random() % 3 == 0 ? 2'000 : 20);
          break;
        }
      }
    }
    REQUIRE(evil.stage().good_round_trips().empty());
  }
}
