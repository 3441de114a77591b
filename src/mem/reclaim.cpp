// SPDX-License-Identifier: MIT
#include "mews/mem/reclaim.hpp"

#include <algorithm>
#include <unordered_set>

#include "mews/base/checked.hpp"

namespace mews::mem {
namespace {

using layout::Phase;
using layout::TruthWord;

std::uint64_t key(std::uint32_t size_class, std::uint64_t index) noexcept {
  return std::uint64_t{size_class} << 32 | index;
}

// By class and index alone: while its record is unread, a slab cannot have moved on.
std::unordered_set<std::uint64_t> slabs_of(const Arena& arena,
                                           std::span<const SlabPool::Claim> published) {
  std::unordered_set<std::uint64_t> slabs;
  for (const auto& claim : published) {
    if (claim.size_class >= arena.class_count()) continue;
    const auto& row = arena.geometry().classes[claim.size_class];
    if (claim.index >= row.slab_count) continue;
    const auto count = std::clamp<std::uint64_t>(base::ceil_div(claim.bytes, row.slab_bytes), 1,
                                                 row.slab_count - claim.index);
    for (std::uint64_t i = 0; i < count; ++i) {
      slabs.insert(key(claim.size_class, claim.index + i));
    }
  }
  return slabs;
}

std::uint32_t disown_chunks(const ClassView& view, PeerId dead) noexcept {
  std::uint32_t disowned = 0;
  for (std::uint32_t chunk = 0; chunk < view.geometry.chunk_count; ++chunk) {
    auto owner = dead.value() + 1;
    // Relaxed: a hint. The bit first, so that whoever adopts the chunk looks into it.
    if (view.owners[chunk].load(std::memory_order_relaxed) != owner) continue;
    view.hints[chunk / 64].fetch_or(std::uint64_t{1} << (chunk % 64), std::memory_order_relaxed);
    view.owners[chunk].compare_exchange_strong(owner, 0, std::memory_order_relaxed,
                                               std::memory_order_relaxed);
    ++disowned;
  }
  return disowned;
}

}  // namespace

Reclaimed reclaim(const Arena& arena, const DeadPeer& dead) {
  const auto published = slabs_of(arena, dead.published);
  Reclaimed done;
  for (std::uint32_t c = 0; c < arena.class_count(); ++c) {
    const auto& view = arena.view(ClassId{c});
    const auto fresh =
        std::min(arena.pool().fresh[c].load(std::memory_order_relaxed), view.geometry.chunk_count);
    const auto end = std::min(fresh << view.geometry.chunk_shift, view.geometry.slab_count);
    for (std::uint32_t i = 0; i < end; ++i) {
      // seq_cst: the partner of the sender's held -> in_flight, see SlabPool::send.
      auto seen = view.words[i].load(std::memory_order_seq_cst);
      for (;;) {
        const auto word = TruthWord::unpack(seen);
        const bool is_held = word.phase == Phase::held && word.holder == dead.peer.value();
        const bool is_to_it = word.phase == Phase::in_flight && word.lane == dead.to_it.value();
        const bool is_half_sent = word.phase == Phase::in_flight &&
                                  word.lane == dead.from_it.value() &&
                                  !published.contains(key(c, i));
        if (!is_held && !is_to_it && !is_half_sent) break;
        // seq_cst: as every free, for the waiters' bell. ABA: the generation.
        if (view.words[i].compare_exchange_strong(
                seen, word.freed().pack(), std::memory_order_seq_cst, std::memory_order_seq_cst)) {
          ++(is_held ? done.held : done.in_flight);
          if (view.geometry.chunk_slabs > 1) {
            const auto chunk = i >> view.geometry.chunk_shift;
            view.hints[chunk / 64].fetch_or(std::uint64_t{1} << (chunk % 64),
                                            std::memory_order_seq_cst);
          }
          break;
        }
      }
    }
    if (view.geometry.chunk_slabs > 1) done.chunks += disown_chunks(view, dead.peer);
  }
  return done;
}

}  // namespace mews::mem
