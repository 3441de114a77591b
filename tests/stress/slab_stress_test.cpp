// SPDX-License-Identifier: MIT
#include <cstdint>
#include <memory>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/mem/census.hpp"
#include "mews/mem/slab_pool.hpp"
#include "slab_user.hpp"
#include "stress_support.hpp"

namespace {

using mews::PeerId;
using mews::mem::SlabPool;

/// A few slabs per class, so that all ways of the search are taken all the time.
mews_test::ArenaSpec scarce() {
  return {.fallback_classes = 1,
          .classes = {{4096, 515}, {65536, 67}, {std::uint64_t{4} << 20, 6}}};
}

struct Load {
  unsigned threads_per_pool;
  std::uint64_t steps;    ///< of each thread
  std::size_t most_held;  ///< by each thread at one time, roughly
};

void hammer(const mews::mem::Arena& arena, std::vector<std::unique_ptr<SlabPool>>& pools,
            const Load& load) {
  const auto seed = mews_test::make_seed("slab stress");
  stress::Complaints complaints;
  const auto threads = static_cast<unsigned>(pools.size()) * load.threads_per_pool;
  const auto steps = mews_test::scaled(load.steps);
  stress::run_threads(threads, [&](unsigned i) {
    stress::SlabUser user(*pools[i % pools.size()], i + 1, seed + i, load.most_held);
    for (std::uint64_t step = 0; step < steps && !complaints.any(); ++step) {
      if (auto complaint = user.step(); !complaint.empty()) complaints.add(std::move(complaint));
    }
    if (auto complaint = user.release_all(); !complaint.empty()) complaints.add(complaint);
  });
  REQUIRE(complaints.all() == "");
  const auto audit = mews::mem::audit(arena);
  CHECK(audit.is_all_free());
}

}  // namespace

TEST_CASE("slab pool: threads that share a pool are never handed one slab twice") {
  const auto arena = mews_test::make_arena(scarce());
  std::vector<std::unique_ptr<SlabPool>> pools;
  pools.push_back(std::make_unique<SlabPool>(arena, PeerId{1}));
  hammer(arena, pools, {.threads_per_pool = 4, .steps = 1'000'000, .most_held = 250});
}

TEST_CASE("slab pool: threads of several peers are never handed one slab twice") {
  const auto arena = mews_test::make_arena(scarce());
  std::vector<std::unique_ptr<SlabPool>> pools;
  for (std::uint32_t peer = 0; peer < 3; ++peer) {
    pools.push_back(std::make_unique<SlabPool>(arena, PeerId{peer}));
  }
  hammer(arena, pools, {.threads_per_pool = 2, .steps = 700'000, .most_held = 150});
}

TEST_CASE("slab pool: a thread that moves on to a short chunk leaves no other beyond its end") {
  // One chunk of 4 slabs and one of 1: threads of one pool switch between them all the time.
  const auto arena = mews_test::make_arena(
      {.fallback_classes = 0,
       .classes = {{std::uint64_t{1} << 20, 5}, {std::uint64_t{4} << 20, 2}}});
  std::vector<std::unique_ptr<SlabPool>> pools;
  pools.push_back(std::make_unique<SlabPool>(arena, PeerId{1}));
  hammer(arena, pools, {.threads_per_pool = 4, .steps = 3'000'000, .most_held = 2});
}
