// SPDX-License-Identifier: MIT
// A lane alone: what the channel is built on.

#include "support/google.hpp"
#include "support/lane_cases.hpp"
#include "support/yardsticks.hpp"

namespace bench = mews::bench;

namespace {

/// Its descriptor and this fill one cell exactly.
constexpr std::size_t kOneCellBytes = 32;

void add_streams() {
  for (const std::size_t bytes : {std::size_t{8}, std::size_t{64}, std::size_t{480}}) {
    for (const unsigned batch : {1u, 32u}) {
      bench::add({.name = bench::path(bench::path("lane/one_way", bytes) + "/batch", batch),
                  .make = [=] { return bench::lane_stream({.bytes = bytes, .batch = batch}); },
                  .bytes = bytes,
                  .messages = batch});
    }
  }
}

void add_wake_protocol() {
  const auto stream = [](bench::Wake wake) {
    return [=] { return bench::lane_stream({.bytes = kOneCellBytes, .wake = wake}); };
  };
  bench::add({.name = "lane/one_cell/wake:never", .make = stream(bench::Wake::never)});
  bench::add({.name = "lane/one_cell/wake:light_fence",
              .make = stream(bench::Wake::light),
              .yardsticks = {{"never", stream(bench::Wake::never)}}});
  bench::add({.name = "lane/one_cell/wake:full_fence",
              .make = stream(bench::Wake::full),
              .yardsticks = {{"never", stream(bench::Wake::never)}}});
}

}  // namespace

int main(int argc, char** argv) {
  add_streams();
  add_wake_protocol();
  for (const std::size_t bytes :
       {std::size_t{8}, kOneCellBytes, std::size_t{64}, std::size_t{480}}) {
    bench::add({.name = bench::path("lane/round_trip", bytes),
                .make = [=] { return bench::lane_round_trip(bytes); },
                .yardsticks = {{"ping_pong", bench::ping_pong}, {"rings", bench::ring_ping_pong}},
                .has_percentiles = true});
  }
  return bench::run_all(argc, argv);
}
