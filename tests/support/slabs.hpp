// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "mews/mem/slab_pool.hpp"

/// Functions that return slabs by value; the library's fill them in place.
namespace mews_test {

[[nodiscard]] inline mews::Result<mews::mem::Slab> try_claim(mews::mem::SlabPool& pool,
                                                             std::uint64_t bytes) {
  mews::mem::Slab slab;
  if (auto claimed = pool.try_claim(slab, bytes); !claimed) {
    return tl::unexpected(std::move(claimed.error()));
  }
  return slab;
}

/// Claims one slab of this class; the arena must not fall back on larger ones.
[[nodiscard]] inline std::optional<mews::mem::Slab> claim_one(mews::mem::SlabPool& pool,
                                                              mews::ClassId id) {
  const auto slab = try_claim(pool, pool.arena().view(id).geometry.slab_bytes);
  return slab ? std::optional(*slab) : std::nullopt;
}

[[nodiscard]] inline std::optional<mews::mem::Slab> try_accept(mews::mem::SlabPool& pool,
                                                               const mews::mem::SlabHandle& claim,
                                                               mews::LaneId lane,
                                                               mews::PeerId sender) {
  mews::mem::Slab slab;
  return pool.accept(slab, claim, lane, sender) ? std::nullopt : std::optional(slab);
}

[[nodiscard]] inline std::uint64_t capacity_bytes(const mews::mem::Arena& arena,
                                                  const mews::mem::Slab& slab) {
  return slab.count * arena.view(slab.size_class).geometry.slab_bytes;
}

}  // namespace mews_test
