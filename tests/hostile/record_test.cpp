// SPDX-License-Identifier: MIT
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "stage.hpp"

using namespace hostile_test;
using namespace mews::layout;

namespace {

constexpr std::size_t kSlabBytes = 5000;  // class 1, 16 KiB

/// A cell as its fields, to be changed and written back.
struct Record {
  std::uint64_t cells;
  std::uint64_t kind;
  std::uint64_t size_class;
  std::uint64_t bytes;
  std::uint32_t index;
  std::uint32_t generation;
};

Record read(const Cell& cell) {
  const auto mark = cell.mark.load(std::memory_order_acquire);
  return {.cells = mark & 0xf,
          .kind = mark >> 4 & 0xf,
          .size_class = mark >> 8 & 0xff,
          .bytes = cell.extent & kMaxPayloadBytes,
          .index = static_cast<std::uint32_t>(cell.extent >> 40),
          .generation = cell.generation};
}

void write(Cell& cell, std::uint64_t position, const Record& record) {
  cell.extent = make_extent(record.bytes, record.index);
  cell.generation = record.generation;
  cell.mark.store(
      mark_sequence(position) | record.size_class << 8 | record.kind << 4 | record.cells,
      std::memory_order_release);
}

struct Damage {
  std::string what;
  std::function<void(Record&)> change;
};

/// The damaged record is refused for good, all else goes on, and nothing is lost in the end.
void check_cut_off(Stage& stage) {
  CHECK(outcome(stage.from_evil().receive(1s)) == "peer_corrupt");
  CHECK(outcome(stage.from_evil().try_receive()) == "peer_corrupt");
  CHECK(outcome(stage.from_evil().receive_batch([](const mews::MessageView&) {}, 9, 1s)) ==
        "peer_corrupt");
  CHECK_FALSE(must(stage.from_evil().arm_event()));
  CHECK(stage.good_round_trips().empty());
  for (const auto& holder : stage.host().stats().holders)
    CHECK(holder.name == "evil");
  stage.remove_evil();
  CHECK(eventually([&] { return stage.host().stats().is_all_free(); }));
  CHECK(stage.good_round_trips().empty());
}

}  // namespace

TEST_CASE("record: what the following tests damage arrives while it is whole") {
  for (const std::size_t bytes : {std::size_t{100}, kSlabBytes}) {
    Stage stage;
    must(stage.to_host().send(must(stage.to_host().loan(bytes))));
    const auto record = read(stage.cell(0));
    write(stage.cell(0), 0, record);
    CHECK(must(stage.from_evil().receive(1s)).size() == bytes);
  }
}

TEST_CASE("record: a record in the lane with a wrong length, kind or class cuts its sender off") {
  for (const auto& damage : std::vector<Damage>{
           {"no cells", [](Record& r) { r.cells = 0; }},
           {"one cell too few", [](Record& r) { r.cells -= 1; }},
           {"one cell too many", [](Record& r) { r.cells += 1; }},
           {"9 cells", [](Record& r) { r.cells = 9; }},
           {"15 cells", [](Record& r) { r.cells = 15; }},
           {"kind 0", [](Record& r) { r.kind = 0; }},
           {"kind 4", [](Record& r) { r.kind = 4; }},
           {"kind 15", [](Record& r) { r.kind = 15; }},
           {"a slab of several cells", [](Record& r) { r.size_class = 1; }},
           {"481 bytes", [](Record& r) { r.bytes = 481; }},
           {"all bytes there can be", [](Record& r) { r.bytes = kMaxPayloadBytes; }},
           {"a slab that is free", [](Record& r) { r.size_class = 0, r.cells = 1; }}}) {
    INFO(damage.what);
    Stage stage;
    must(stage.to_host().send(bytes_of(std::string(100, 'x'))));
    auto record = read(stage.cell(0));
    damage.change(record);
    write(stage.cell(0), 0, record);
    check_cut_off(stage);
  }
}

TEST_CASE("record: a handle that is wrong in any part cuts its sender off") {
  for (const auto& damage :
       std::vector<Damage>{{"a smaller class", [](Record& r) { r.size_class = 0; }},
                           {"a larger class", [](Record& r) { r.size_class = 2; }},
                           {"a class past the table", [](Record& r) { r.size_class = 3; }},
                           {"class 254", [](Record& r) { r.size_class = 254; }},
                           {"the next slab", [](Record& r) { r.index += 1; }},
                           {"a slab past the class", [](Record& r) { r.index = 16; }},
                           {"the largest index", [](Record& r) { r.index = 0xffffff; }},
                           {"an older generation", [](Record& r) { r.generation -= 1; }},
                           {"a newer generation", [](Record& r) { r.generation += 1; }},
                           {"more than the slab", [](Record& r) { r.bytes = 16385; }},
                           {"a tebibyte", [](Record& r) { r.bytes = kMaxPayloadBytes; }},
                           {"two cells", [](Record& r) { r.cells = 2; }},
                           {"no cells", [](Record& r) { r.cells = 0; }},
                           {"kind 0", [](Record& r) { r.kind = 0; }}}) {
    INFO(damage.what);
    Stage stage;
    must(stage.to_host().send(must(stage.to_host().loan(kSlabBytes))));
    auto record = read(stage.cell(0));
    damage.change(record);
    write(stage.cell(0), 0, record);
    check_cut_off(stage);
  }
}

TEST_CASE("record: of a payload that reaches past the memory behind its slab the rest is zeroes") {
  for (const std::uint64_t bytes : {(1u << 18) + 1, 1u << 20}) {
    Stage stage;
    // Two eighths of a 1 MiB slab.
    must(stage.to_host().send(must(stage.to_host().loan(200'000))));
    auto record = read(stage.cell(0));
    record.bytes = bytes;
    write(stage.cell(0), 0, record);
    const auto message = must(stage.from_evil().receive(1s));
    REQUIRE(message.size() == bytes);
    CHECK(message.bytes().back() == std::byte{0});
    CHECK(stage.good_round_trips().empty());
  }
}

TEST_CASE("record: a slab whose truth word says otherwise cuts its sender off") {
  for (const auto& change : std::vector<std::function<void(TruthWord&)>>{
           [](TruthWord& w) { w.lane ^= 1; }, [](TruthWord& w) { w.lane = 8191; },
           [](TruthWord& w) { w.holder = 2; }, [](TruthWord& w) { w.holder = 4095; },
           [](TruthWord& w) { w.phase = Phase::free; }, [](TruthWord& w) { w.phase = Phase::held; },
           [](TruthWord& w) { w.phase = static_cast<Phase>(7); },
           [](TruthWord& w) { w.generation += 1; },
           [](TruthWord& w) { w = TruthWord::unpack(~std::uint64_t{0}); },
           [](TruthWord& w) { w = TruthWord{}; }}) {
    Stage stage;
    must(stage.to_host().send(must(stage.to_host().loan(kSlabBytes))));
    auto& shared = stage.truth(1, read(stage.cell(0)).index);
    auto word = TruthWord::unpack(shared.load(std::memory_order_relaxed));
    change(word);
    shared.store(word.pack(), std::memory_order_relaxed);
    CHECK(outcome(stage.from_evil().receive(1s)) == "peer_corrupt");
    CHECK(stage.good_round_trips().empty());
  }
}

TEST_CASE("record: a slab on another plugin's way cannot be taken, and still arrives") {
  Stage stage;
  auto loan = must(stage.good_to_host().loan(kSlabBytes));
  fill(loan.bytes(), 3);
  must(stage.good_to_host().send(std::move(loan)));
  const auto good_lane = mews::LaneId{stage.lane_to_host().value() + 2};
  write(stage.cell(0), 0, read(stage.arena().cells(good_lane)[0]));
  CHECK(outcome(stage.from_evil().receive(1s)) == "peer_corrupt");
  const auto message = must(stage.from_good().receive(1s));
  CHECK(is_filled(message.bytes(), 3));
}

TEST_CASE("record: a slab that the host holds cannot be given to it a second time") {
  Stage stage;
  auto loan = must(stage.to_host().loan(kSlabBytes));
  fill(loan.bytes(), 3);
  must(stage.to_host().send(std::move(loan)));
  const auto record = read(stage.cell(0));
  const auto message = must(stage.from_evil().receive(1s));
  write(stage.cell(1), 1, record);
  CHECK(outcome(stage.from_evil().receive(1s)) == "peer_corrupt");
  CHECK(is_filled(message.bytes(), 3));
  const auto stats = stage.host().stats();
  CHECK((stats.holders.size() == 1 && stats.holders[0].name == "host"));
}

TEST_CASE("record: one that would run past the ring's end cuts its sender off") {
  Stage stage;
  for (std::uint64_t i = 0; i < 60; ++i) {
    must(stage.to_host().send(bytes_of("x")));
    must(stage.from_evil().receive(1s));
  }
  write(stage.cell(60), 60,
        {.cells = 5, .kind = 1, .size_class = kNoClass, .bytes = 280, .index = 0, .generation = 0});
  CHECK(outcome(stage.from_evil().receive(1s)) == "peer_corrupt");
  CHECK(stage.good_round_trips().empty());
}

TEST_CASE("record: a run that reaches past its class or into others' slabs is refused whole") {
  Stage stage;
  auto others = must(stage.from_good().loan(1 << 20));
  auto loan = must(stage.to_host().loan(2u << 20));
  must(stage.to_host().send(std::move(loan)));
  auto record = read(stage.cell(0));
  for (const std::uint64_t bytes :
       {std::uint64_t{3} << 20, std::uint64_t{8} << 20, std::uint64_t{9} << 20}) {
    Stage fresh;
    auto held = must(fresh.from_good().loan(1 << 20));
    must(fresh.to_host().send(must(fresh.to_host().loan(2u << 20))));
    auto longer = read(fresh.cell(0));
    longer.bytes = bytes;
    write(fresh.cell(0), 0, longer);
    CHECK(outcome(fresh.from_evil().receive(1s)) == "peer_corrupt");
    CHECK(held.is_valid());
    fresh.remove_evil();
    CHECK(fresh.good_round_trips().empty());
  }
  CHECK(must(stage.from_evil().receive(1s)).size() == record.bytes);
}
