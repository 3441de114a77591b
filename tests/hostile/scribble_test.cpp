// SPDX-License-Identifier: MIT
#include <cstdint>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "stage.hpp"

using namespace hostile_test;
using namespace mews::layout;
using Catch::Matchers::ContainsSubstring;

TEST_CASE(
    "scribble: a head that its reader cannot have reached cuts the reader off, not the host") {
  for (const std::uint64_t head :
       {std::uint64_t{57}, std::uint64_t{1000}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    const std::size_t bytes = GENERATE(std::size_t{100}, std::size_t{5000});
    Stage stage;
    int sent = 0;
    while (stage.from_evil().try_send(bytes_of("x")))
      ++sent;
    REQUIRE(sent == 56);
    stage.arena().lane(stage.lane_to_evil()).head.store(head, std::memory_order_release);
    auto loan = must(stage.from_evil().loan(bytes));
    fill(loan.bytes(), 1);
    CHECK(outcome(stage.from_evil().send(std::move(loan), {}, 1s)) == "peer_corrupt");
    CHECK((loan.is_valid() && is_filled(loan.bytes(), 1)));
    CHECK(outcome(stage.from_evil().try_send(std::move(loan))) == "peer_corrupt");
    loan = {};
    CHECK(stage.good_round_trips().empty());
    stage.remove_evil();
    CHECK(eventually([&] { return stage.host().stats().is_all_free(); }));
  }
}

TEST_CASE("scribble: a head that goes back makes the lane full, or corrupt, and no more") {
  Stage stage;
  for (int i = 0; i < 100; ++i) {
    must(stage.from_evil().send(bytes_of("x"), {}, 1s));
    must(stage.to_host().receive(1s));
    static_cast<void>(stage.to_host().try_receive());
  }
  while (stage.from_evil().try_send(bytes_of("x"))) {
  }
  stage.arena().lane(stage.lane_to_evil()).head.store(3, std::memory_order_release);
  const auto said = outcome(stage.from_evil().send(bytes_of("x"), {}, 10ms));
  CHECK((said == "peer_corrupt" || said == "timed_out"));
  CHECK(stage.good_round_trips().empty());
}

TEST_CASE("scribble: garbage in the bells of its lanes costs the scribbler's channel at most") {
  for (const std::uint32_t garbage : {1u, 2u, 3u, ~0u, 0x80000001u, 4u}) {
    Stage stage;
    for (const auto lane : {stage.lane_to_evil(), stage.lane_to_host()}) {
      stage.arena().lane(lane).data_bell.store(garbage, std::memory_order_relaxed);
      stage.arena().lane(lane).space_bell.store(garbage, std::memory_order_relaxed);
    }
    CHECK(outcome(stage.from_evil().receive(10ms)) == "timed_out");
    must(stage.from_evil().send(bytes_of("x"), {}, 1s));
    must(stage.to_host().send(bytes_of("x"), {}, 1s));
    CHECK(must(stage.from_evil().receive(1s)).text() == "x");
    CHECK(stage.good_round_trips().empty());
  }
}

TEST_CASE("scribble: garbage in its peer entry shows in sentences at most, made printable") {
  Stage stage(stage_arena());
  auto& entry = stage.arena().peer(stage.evil().peer());
  std::vector<mews::Loan> loans;
  while (auto loan = stage.to_host().try_loan(16384))
    loans.push_back(std::move(*loan));
  for (const std::uint32_t garbage : {0u, 1u, 3u, 4u, 5u, ~0u}) {
    entry.seat.store(garbage | std::uint64_t{~garbage} << 32, std::memory_order_relaxed);
    entry.pid.store(1, std::memory_order_relaxed);
    entry.fences.store(garbage, std::memory_order_relaxed);
    entry.start_time.store(garbage, std::memory_order_relaxed);
    for (auto& letter : entry.name)
      letter = static_cast<char>(garbage + 0x1b);
    const auto refused = stage.from_good().loan(16384, 1ms);
    if (!refused) CHECK_THAT(refused.error().message(), !ContainsSubstring("\x1b"));
    CHECK(stage.host().stats().plugins <= 2);
    loans.clear();
    CHECK(stage.good_round_trips().empty());
  }
  stage.remove_evil();
  CHECK(stage.host().stats().is_all_free());
  CHECK(outcome(stage.host().connect("next")) == "ok");
}

TEST_CASE("scribble: wrong role words keep nobody but the scribbler out") {
  Stage stage;
  for (const auto lane : {stage.lane_to_evil(), stage.lane_to_host()}) {
    stage.arena().lane(lane).producer_role.store(~0u, std::memory_order_relaxed);
    stage.arena().lane(lane).consumer_role.store(77, std::memory_order_relaxed);
  }
  CHECK(stage.good_round_trips().empty());
  stage.remove_evil();
  auto next = must(stage.host().connect("next"));
  must(next.first.channel().send(bytes_of("x")));
  CHECK(must(next.second.channel().receive(1s)).text() == "x");
}

TEST_CASE("scribble: the hints of the slab pool may say anything") {
  for (const std::uint64_t garbage : {std::uint64_t{0}, ~std::uint64_t{0}, mixed(1), mixed(2)}) {
    Stage stage;
    const auto scribble = [&] {
      for (std::uint32_t i = 0; i < stage.arena().class_count(); ++i) {
        const auto& view = stage.arena().view(mews::ClassId{i});
        stage.arena().pool().fresh[i].store(static_cast<std::uint32_t>(garbage),
                                            std::memory_order_relaxed);
        stage.arena().pool().freed_bell[i].store(static_cast<std::uint32_t>(garbage),
                                                 std::memory_order_relaxed);
        for (std::uint32_t chunk = 0; chunk < view.geometry.chunk_count; ++chunk) {
          view.owners[chunk].store(static_cast<std::uint32_t>(garbage), std::memory_order_relaxed);
          view.hints[chunk / 64].store(garbage, std::memory_order_relaxed);
        }
      }
    };
    for (int i = 0; i < 20; ++i) {
      scribble();
      CHECK(stage.good_round_trips().empty());
      scribble();
      static_cast<void>(stage.host().stats());
      CHECK(outcome(stage.from_good().loan(16384, 1ms)) == "ok");
    }
    std::vector<mews::Loan> loans;
    while (auto loan = stage.from_good().try_loan(1 << 20))
      loans.push_back(std::move(*loan));
    CHECK(loans.size() == 8);
    scribble();
    CHECK(outcome(stage.from_good().loan(1 << 20, 1ms)) == "timed_out");
  }
}

TEST_CASE("scribble: truth words that no transition makes are counted as bad and never given out") {
  Stage stage;
  auto warm = must(stage.from_good().loan(16384));
  for (std::uint32_t i = 1; i < 16; ++i) {
    auto bad = TruthWord{.phase = static_cast<Phase>(3 + i % 5),
                         .holder = 1,
                         .lane = 0,
                         .backed_eighths = 15,
                         .generation = i};
    stage.truth(1, i).store(bad.pack(), std::memory_order_relaxed);
  }
  const auto fallback = must(stage.from_good().loan(16384));
  CHECK(stage.host().stats().classes[1].bad == 15);
  CHECK_FALSE(stage.host().stats().is_all_free());
  CHECK(stage.good_round_trips().empty());
}

TEST_CASE("scribble: a slab taken from under the host is not freed twice by it") {
  Stage stage;
  auto loan = must(stage.from_good().loan(5000));
  // The only slab of the class that is held.
  std::uint32_t index = 0;
  while (TruthWord::unpack(stage.truth(1, index).load(std::memory_order_relaxed)).phase !=
         Phase::held) {
    ++index;
  }
  auto stolen = TruthWord::unpack(stage.truth(1, index).load(std::memory_order_relaxed));
  stolen.holder = static_cast<std::uint16_t>(stage.evil().peer().value());
  stolen.generation += 5;
  stage.truth(1, index).store(stolen.pack(), std::memory_order_relaxed);
  CHECK(outcome(stage.from_good().try_send(std::move(loan))) == "peer_corrupt");
  loan = {};
  CHECK(stage.truth(1, index).load(std::memory_order_relaxed) == stolen.pack());
  CHECK(stage.good_round_trips().empty());
}

TEST_CASE("scribble: a scribbled header keeps newcomers out and harms nobody who is in") {
  Stage stage;
  auto file = find_memfd("mews-" + std::string(stage.arena().peer(mews::kHostPeer).name));
  const std::vector<char> garbage(4096, '\x5a');
  REQUIRE(::pwrite(file.get(), garbage.data(), garbage.size(), 0) == 4096);
  CHECK(stage.good_round_trips().empty());
  const auto arena = mews::mem::Arena::attach(mews::os::MemoryFile::adopt(std::move(file)), 1s);
  CHECK(outcome(arena) == "not_an_arena");
  stage.remove_evil();
  CHECK(stage.good_round_trips().empty());
}
