// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>

#include "mews/mem/freed_listener.hpp"
#include "mews/mem/slab_pool.hpp"
#include "support/arena_fixture.hpp"
#include "support/slabs.hpp"

namespace mews_test {

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// Counts a pool's calls of its listener, by class.
struct Told final : mews::mem::FreedListener {
  std::array<int, 4> times{};
  void on_freed(mews::ClassId id) noexcept override { ++times[id.value()]; }
};

/// An arena with the pools of its host and of two plugins, and access to its truth words.
struct SlabScene {
  using Pool = mews::mem::SlabPool;
  using Slab = mews::mem::Slab;
  using Word = mews::layout::TruthWord;

  mews::mem::Arena arena = make_arena();
  Told told;  ///< by plugin 1
  Pool host{arena, mews::kHostPeer};
  Pool one{arena, mews::PeerId{1}, &told};
  Pool two{arena, mews::PeerId{2}};

  /// The word of the `i`-th slab of a run.
  [[nodiscard]] Word word(const Slab& slab, std::uint32_t i = 0) const {
    return truth(arena, slab.size_class, slab.first.value() + i);
  }
  void set(const Slab& slab, std::uint32_t i, const Word& to) const {
    auto& word = arena.view(slab.size_class).words[slab.first.value() + i];
    word.store(to.pack(), std::memory_order_relaxed);
  }
};

/// Claims slabs for `bytes` and marks them in flight.
[[nodiscard]] inline mews::mem::Slab sent(mews::mem::SlabPool& pool, std::uint64_t bytes,
                                          mews::LaneId lane) {
  auto slab = value_or_throw(try_claim(pool, bytes));
  if (!pool.mark_in_flight(slab, lane))
    throw std::runtime_error("what was claimed could not be sent");
  return slab;
}

/// Returns the handle in a record of `slab` with `bytes` of payload.
[[nodiscard]] inline mews::mem::SlabHandle claim_of(const mews::mem::Slab& slab,
                                                    std::uint64_t bytes) {
  return {.size_class = slab.size_class.value(),
          .index = slab.first.value(),
          .generation = mews::layout::TruthWord::unpack(slab.word).generation,
          .bytes = bytes};
}

}  // namespace mews_test
