// SPDX-License-Identifier: MIT
#include <cstdint>
#include <cstring>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "nasty.hpp"
#include "stage.hpp"

using namespace hostile_test;

namespace {

/// Where the slabs begin: everything before is the arena's own.
std::uint64_t control_bytes(const mews::mem::Arena& arena) {
  auto end = arena.geometry().arena_bytes;
  for (std::uint32_t i = 0; i < arena.class_count(); ++i) {
    end = std::min(end, arena.geometry().classes[i].slabs_offset);
  }
  return end;
}

/// Overwrites words of the whole arena; those next to the scribbler's own are hit most.
void scribble(const Stage& stage, mews_test::Random& random, std::uint64_t words) {
  const auto& arena = stage.arena();
  auto* base = stage.raw();
  const auto control = control_bytes(arena);
  const auto cells = arena.geometry().cells_offset +
                     stage.lane_to_host().value() * arena.geometry().lane_cells_bytes();
  const auto truth = arena.geometry().classes[0].words_offset;
  for (std::uint64_t i = 0; i < words; ++i) {
    std::uint64_t at = 0;
    switch (random() % 4) {
      case 0:
        at = cells + random() % 64 * 64 + random() % 4 * 8;
        break;
      case 1:
        at = truth + random() % 16 * 8;
        break;
      case 2:
        at = random() % (control / 8) * 8;
        break;
      default:
        // The entry and lanes of one of the first peers.
        at = arena.geometry().seats_offset + random() % 4 * sizeof(mews::layout::SeatPage) +
             random() % 112 * 8;
        break;
    }
    std::uint64_t word = 0;
    std::memcpy(&word, base + at, sizeof word);
    word = nasty(random, word);
    std::memcpy(base + at, &word, sizeof word);
  }
}

/// What a host does, with short deadlines; every answer is right as long as there is one.
void use(Stage& stage, mews_test::Random& random, std::vector<mews::Message>& messages) {
  auto& channel = random() % 3 == 0 ? stage.from_good() : stage.from_evil();
  switch (random() % 8) {
    case 0:
      static_cast<void>(channel.send(bytes_of("some words"), {}, 1ms));
      break;
    case 1:
    case 2:
      if (auto message = channel.receive(1ms)) messages.push_back(std::move(*message));
      break;
    case 3:
      if (auto loan = channel.loan(mixed_size(random()), 1ms)) {
        fill(loan->bytes(), 1);
        static_cast<void>(channel.send(std::move(*loan), {}, 1ms));
      }
      break;
    case 4:
      static_cast<void>(channel.try_receive_batch(
          [](const mews::MessageView& view) { static_cast<void>(is_filled(view.bytes, 1)); }, 10));
      break;
    case 5:
      static_cast<void>(stage.host().stats());
      break;
    case 6:
      messages.clear();
      break;
    default:
      static_cast<void>(channel.loan(3u << 20, 1ms));
      break;
  }
  // What the host holds can be read, whatever it says by now.
  for (const auto& message : messages)
    static_cast<void>(is_filled(message.bytes(), 1));
}

/// The plugins' ends run in this process as well and must bear it likewise.
void use_guest(mews::Channel& channel, mews_test::Random& random) {
  if (auto loan = channel.try_loan(mixed_size(random()))) {
    fill(loan->bytes(), 1);
    static_cast<void>(channel.try_send(std::move(*loan)));
  }
  static_cast<void>(channel.try_receive());
}

}  // namespace

TEST_CASE("fuzz: a host survives any scribbling over the arena, at work and while it takes back") {
  const auto first_seed = mews_test::make_seed("fuzz");
  const auto rounds = mews_test::scaled(800);
  for (auto seed = first_seed; seed < first_seed + rounds; ++seed) {
    INFO("MEWS_TEST_SEED=" << seed);
    mews_test::Random random(seed);
    Stage stage;
    std::vector<mews::Message> messages;
    for (int step = 0; step < 60; ++step) {
      use_guest(stage.to_host(), random);
      use_guest(stage.good_to_host(), random);
      if (step > 5) scribble(stage, random, random() % 20);
      use(stage, random, messages);
    }
    messages.clear();
    stage.forget_what_evil_holds();
    stage.remove_evil();
    static_cast<void>(stage.host().connect("next"));
    static_cast<void>(stage.host().stats());
  }
}
