// SPDX-License-Identifier: MIT
#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/base/atomic.hpp"
#include "mews/mem/slab_pool.hpp"

namespace {

using namespace mews_test;

std::uint64_t steps = 0;

/// Operations on shared words during `call`.
template <class Call>
std::uint64_t steps_of(Call&& call) {
  steps = 0;
  const auto before = mews::base::step_hook;
  mews::base::step_hook = [](auto...) { ++steps; };
  call();
  mews::base::step_hook = before;
  return steps;
}

}  // namespace

TEST_CASE("sweep: a claim in vain looks a few times at each truth word, whatever the cursor says") {
  constexpr std::uint32_t kSlabs = 2000;
  const auto cursor = GENERATE(0U, 1000U, ~0U);
  const auto bytes = GENERATE(std::uint64_t{65536}, std::uint64_t{4} << 20);
  const auto arena = make_arena({.classes = {{bytes, kSlabs}}});
  const mews::ClassId id{0};
  for (std::uint32_t i = 0; i < kSlabs; ++i) {
    const mews::layout::TruthWord held{
        .phase = mews::layout::Phase::held, .holder = 2, .generation = 1};
    arena.view(id).words[i].store(held.pack(), std::memory_order_relaxed);
  }
  arena.pool().fresh[0].store(cursor, std::memory_order_relaxed);
  mews::mem::SlabPool pool(arena, mews::PeerId{1});
  for (int i = 0; i < 3; ++i)
    CHECK(steps_of([&] { CHECK_FALSE(claim_one(pool, id)); }) < 8 * kSlabs);
}
