// SPDX-License-Identifier: MIT
// What the machine and the usual tools can do: the figures to hold the library's against.
#include "support/google.hpp"
#include "support/slab_cases.hpp"
#include "support/yardsticks.hpp"

namespace bench = mews::bench;

namespace {

void add_payload_sizes() {
  for (const std::size_t bytes :
       {std::size_t{64}, std::size_t{1} << 10, std::size_t{16} << 10, std::size_t{256} << 10,
        std::size_t{1} << 20, std::size_t{10} << 20, std::size_t{16} << 20,
        std::size_t{64} << 20}) {
    bench::add({.name = bench::path("memcpy", bytes),
                .make = [=] { return bench::memory_copy(bytes); },
                .bytes = bytes});
    bench::add({.name = bench::path("pipe/one_way/all", bytes),
                .make = [=] { return bench::pipe_stream(bytes, bench::Touch::all); },
                .bytes = bytes});
    bench::add({.name = bench::path("pipe/echo/all", bytes),
                .make = [=] { return bench::pipe_echo(bytes, bench::Touch::all); },
                .bytes = 2 * bytes,
                .has_percentiles = true});
  }
}

void add_allocators() {
  for (const auto bytes : bench::class_bytes()) {
    bench::add({.name = bench::path("malloc_free", bytes),
                .make = [=] { return bench::malloc_free(bytes); }});
  }
  bench::add({.name = "free_list/alone", .make = bench::free_list_alone});
  bench::add({.name = "free_list/freed_there", .make = bench::free_list_freed_there});
  for (const std::uint64_t bytes : {std::uint64_t{1} << 10, std::uint64_t{64} << 10}) {
    bench::add({.name = bench::path("rbtree_best_fit/alone", bytes),
                .make = [=] { return bench::best_fit_alone(bytes); }});
    bench::add({.name = bench::path("rbtree_best_fit/freed_there", bytes),
                .make = [=] { return bench::best_fit_freed_there(bytes); }});
  }
}

}  // namespace

int main(int argc, char** argv) {
  bench::add({.name = "ping_pong/one_line", .make = bench::ping_pong, .has_percentiles = true});
  bench::add({.name = "ping_pong/rings_of_1024_lines",
              .make = bench::ring_ping_pong,
              .yardsticks = {{"ping_pong", bench::ping_pong}},
              .has_percentiles = true});
  bench::add(
      {.name = "futex/round_trip", .make = bench::futex_round_trip, .has_percentiles = true});
  add_payload_sizes();
  add_allocators();
  return bench::run_all(argc, argv);
}
