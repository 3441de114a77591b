// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "mews/mem/arena.hpp"
#include "mews/mem/reclaim.hpp"
#include "mews/mem/slab_pool.hpp"
#include "model/checker.hpp"
#include "support/slabs.hpp"

namespace mews::model {

inline constexpr int kHost = 0;
inline constexpr int kPlugin = 1;
inline constexpr int kOther = 2;
inline constexpr int kPeers = 3;
inline constexpr ClassId kClass{0};
/// The lanes of the channel between the host and `kPlugin`.
inline constexpr LaneId kToPlugin{0};
inline constexpr LaneId kToHost{1};

/// One slab, if any is free.
[[nodiscard]] inline std::optional<mem::Slab> claim_one(mem::SlabPool& pool) {
  return mews_test::claim_one(pool, kClass);
}

/// How many slabs there are, and how many of them make a chunk (a power of two).
struct TinyPlan {
  std::uint32_t slabs;
  std::uint32_t chunk_slabs;
};

/// A real arena of one class with very few slabs, made new in a microsecond; and a ledger of the
/// slabs that each peer knows it holds, against which the truth words are checked.
///
/// A peer is a process of the scenario; processes and peers are counted alike. A pool per peer.
class TinyArena {
 public:
  TinyArena(const TinyPlan& plan, Words& words);

  /// All slabs free, no chunk owned, lanes empty, all peers attached, new pools.
  void reset();

  [[nodiscard]] const mem::Arena& arena() const noexcept { return arena_; }
  [[nodiscard]] const mem::ClassView& view() const noexcept { return arena_.view(kClass); }
  [[nodiscard]] mem::SlabPool& pool(int peer) { return *pools_[static_cast<std::size_t>(peer)]; }
  [[nodiscard]] std::uint32_t slabs() const noexcept { return slabs_; }

  // Each of these is the pool's function and the ledger's entry.
  [[nodiscard]] std::optional<mem::Slab> claim(int peer);
  bool release(int peer, const mem::Slab& slab);
  [[nodiscard]] bool send(int peer, mem::Slab& slab, LaneId lane);
  [[nodiscard]] std::optional<mem::Slab> take(int peer, const mem::SlabHandle& claim, LaneId lane,
                                              int sender);
  /// Enters into the ledger that `peer` now knows it holds `slab`: no other live peer may hold it.
  void knows(int peer, const mem::Slab& slab);
  void forgets(int peer, const mem::Slab& slab);

  /// Expects, once all is quiet: each slab is free, or held by a live peer that knows it, or was
  /// left behind by a dead one without recovery (`left_by`).
  void expect_sound(int left_by = -1);
  /// Expects that the pool of `peer` can claim every free slab: a lost hint has lost no slab. At
  /// least `at_least` are free.
  void expect_whole(int peer, std::uint32_t at_least = 0);

 private:
  static constexpr int kNobody = -1;

  mem::Arena arena_;
  std::uint32_t slabs_;
  std::array<std::optional<mem::SlabPool>, kPeers> pools_;
  std::vector<int> known_;
};

}  // namespace mews::model
