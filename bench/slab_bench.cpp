// SPDX-License-Identifier: MIT
// The slab pool, against glibc's malloc in the same turn.
#include "support/google.hpp"
#include "support/slab_cases.hpp"
#include "support/yardsticks.hpp"

namespace bench = mews::bench;

namespace {

void add_class(std::uint64_t bytes) {
  bench::add({.name = bench::path("slab/alone", bytes),
              .make = [=] { return bench::slab_alone(bytes); },
              .yardsticks = {{"malloc", [=] { return bench::malloc_free(bytes); }}}});
  bench::add({.name = bench::path("slab/freed_there", bytes),
              .make = [=] { return bench::slab_freed_there(bytes); },
              .yardsticks = {{"free_list", bench::free_list_freed_there}}});
  bench::add({.name = bench::path("slab/handed_over", bytes),
              .make = [=] { return bench::slab_handed_over(bytes); },
              .yardsticks = {{"free_list", bench::free_list_freed_there}}});
}

}  // namespace

int main(int argc, char** argv) {
  for (const auto bytes : bench::class_bytes())
    add_class(bytes);
  for (const unsigned processes : {1u, 2u, 4u}) {
    for (const std::uint64_t bytes :
         {std::uint64_t{1} << 10, std::uint64_t{1} << 20, std::uint64_t{16} << 20}) {
      bench::add({.name = bench::path(bench::path("slab/churn", bytes) + "/processes", processes),
                  .make = [=] { return bench::slab_churn(processes, bytes); }});
    }
  }
  return bench::run_all(argc, argv);
}
