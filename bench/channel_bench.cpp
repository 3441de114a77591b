// SPDX-License-Identifier: MIT
// Whole messages between a host and a plugin process.
#include <array>

#include "support/channel_cases.hpp"
#include "support/google.hpp"
#include "support/slab_cases.hpp"
#include "support/yardsticks.hpp"

namespace bench = mews::bench;

namespace {

constexpr std::size_t kMega = 1u << 20;
constexpr std::array<std::size_t, 8> kPayloads{64,    1024,       16 * 1024,  256 * 1024,
                                               kMega, 10 * kMega, 16 * kMega, 64 * kMega};

void add_round_trips() {
  for (const std::size_t bytes :
       {std::size_t{8}, std::size_t{32}, std::size_t{64}, std::size_t{480}}) {
    bench::add({.name = bench::path("channel/round_trip/spinning", bytes),
                .make = [=] { return bench::channel_round_trip(bytes, bench::kSpin); },
                .yardsticks = {{"ping_pong", bench::ping_pong}, {"rings", bench::ring_ping_pong}},
                .has_percentiles = true});
    bench::add({.name = bench::path("channel/round_trip/sleeping", bytes),
                .make = [=] { return bench::channel_round_trip(bytes, bench::kSleep); },
                .yardsticks = {{"futex", bench::futex_round_trip}},
                .has_percentiles = true});
  }
  for (const std::size_t bytes : {std::size_t{32}, std::size_t{480}}) {
    bench::add({.name = bench::path("channel/batch_stream", bytes),
                .make = [=] { return bench::channel_batch_stream(bytes); },
                .bytes = bytes});
  }
}

void add_payloads(std::size_t bytes) {
  const auto copy = [=] { return bench::memory_copy(bytes); };
  for (const auto touch : {bench::Touch::header, bench::Touch::all}) {
    const std::string suffix = touch == bench::Touch::all ? "/all" : "/header";
    bench::add(
        {.name = bench::path("channel/echo" + suffix, bytes),
         .make = [=] { return bench::channel_echo(bytes, touch); },
         .yardsticks = {{"pipe", [=] { return bench::pipe_echo(bytes, touch); }}, {"memcpy", copy}},
         .bytes = 2 * bytes,
         .has_percentiles = true});
    bench::add({.name = bench::path("channel/one_way" + suffix, bytes),
                .make = [=] { return bench::channel_stream(bytes, touch); },
                .yardsticks = {{"pipe", [=] { return bench::pipe_stream(bytes, touch); }},
                               {"memcpy", copy}},
                .bytes = bytes});
  }
}

}  // namespace

int main(int argc, char** argv) {
  add_round_trips();
  for (const auto bytes : bench::class_bytes()) {
    bench::add({.name = bench::path("channel/loan_and_drop", bytes),
                .make = [=] { return bench::channel_loan_alone(bytes); },
                .yardsticks = {{"malloc", [=] { return bench::malloc_free(bytes); }}}});
  }
  for (const auto bytes : kPayloads)
    add_payloads(bytes);
  return bench::run_all(argc, argv);
}
