// SPDX-License-Identifier: MIT
#include <signal.h>

#include <string>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "stage.hpp"

using namespace hostile_test;

namespace {

constexpr std::uint64_t kEchoes = 50;

Words program(const Words& words) {
  Words command{MEWS_TEST_BIN_DIR "/scribble_plugin"};
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

/// What a host does with a plugin, with short deadlines. Every answer will do.
void use(mews::Channel& channel) {
  for (int i = 0; i < 10; ++i) {
    if (const auto message = channel.receive(2ms)) {
      static_cast<void>(is_filled(message->bytes(), 1));
    }
    static_cast<void>(channel.send(bytes_of("some words"), {}, 2ms));
    if (auto loan = channel.loan(mixed_size(static_cast<std::uint64_t>(i)), 2ms)) {
      static_cast<void>(channel.send(std::move(*loan), {}, 2ms));
    }
  }
}

}  // namespace

TEST_CASE("neighbour: while one process scribbles over its lanes, another one's echoes are whole") {
  const auto first_seed = mews_test::make_seed("scribbled lanes");
  const auto rounds = mews_test::scaled(64);
  for (auto seed = first_seed; seed < first_seed + rounds; ++seed) {
    INFO("MEWS_TEST_SEED=" << seed);
    auto options = stage_arena();
    auto host = must(mews::Session::create(options));
    auto good = must(host.spawn("good", program({"echo"})));
    {
      auto evil = must(host.spawn("evil", program({"lanes", std::to_string(seed)})));
      CHECK(converse(good.channel(), kEchoes, seed).empty());
      use(evil.channel());
      CHECK(converse(good.channel(), kEchoes, seed).empty());
      use(evil.channel());
      must(evil.kill(SIGKILL));
      must(evil.wait_exit(kPatience));
    }
    CHECK(converse(good.channel(), kEchoes, seed).empty());
    auto next = must(host.spawn("next", program({"echo"})));
    CHECK(converse(next.channel(), kEchoes, seed).empty());
    CHECK(host.stats().is_all_free());
  }
}

TEST_CASE("neighbour: a host survives a process that scribbles over the whole arena") {
  const auto first_seed = mews_test::make_seed("scribbled arena");
  const auto rounds = mews_test::scaled(64);
  for (auto seed = first_seed; seed < first_seed + rounds; ++seed) {
    INFO("MEWS_TEST_SEED=" << seed);
    auto host = must(mews::Session::create(stage_arena()));
    auto evil = must(host.spawn("evil", program({"arena", std::to_string(seed)})));
    for (int i = 0; i < 3; ++i) {
      use(evil.channel());
      static_cast<void>(host.stats());
    }
    must(evil.kill(SIGKILL));
    const auto exit = must(evil.wait_exit(kPatience));
    CHECK((exit.is_signal && exit.number == SIGKILL));
    static_cast<void>(host.stats());
    // Nothing of this arena can be relied on, but another one can.
    auto fresh = must(mews::Session::create(stage_arena()));
    auto good = must(fresh.spawn("good", program({"echo"})));
    CHECK(converse(good.channel(), kEchoes, seed).empty());
  }
}
