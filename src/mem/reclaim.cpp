// SPDX-License-Identifier: MIT
#include "mews/mem/reclaim.hpp"

#include <unordered_set>

namespace mews::inline MEWS_LAYOUT::mem {
namespace {

using layout::Phase;
using layout::TruthWord;

using Keys = std::unordered_set<std::uint64_t>;

std::uint64_t key(std::uint32_t size_class, std::uint64_t index) noexcept {
  return std::uint64_t{size_class} << 32 | index;
}

/// Returns the slabs that the published records name, up to the first record that nobody can
/// receive: one that names no slabs of this arena, or a slab that was named before. So there are
/// never more than one for each record and those of the largest class, whatever a peer has written.
///
/// By class and index alone: while its record is unread, a slab cannot have moved on.
Keys slabs_of(const Arena& arena, std::span<const SlabHandle> published) {
  Keys slabs;
  for (const auto& handle : published) {
    const auto count = SlabPool::slabs_named(arena.geometry(), handle);
    if (count == 0) return slabs;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!slabs.insert(key(handle.size_class, handle.index + i)).second) return slabs;
    }
  }
  return slabs;
}

/// The dead peer's relation to a slab.
enum class Left : std::uint8_t { not_at_all, held, in_flight };

/// Frees a slab if the dead peer had it. Calls `is_published()` only for a slab that it had sent.
template <class IsPublished>
Left free_if_left(layout::AtomicTruthWord& word, const DeadPeer& dead, IsPublished&& is_published) {
  const auto left_of = [&](const TruthWord& w) {
    if (w.phase == Phase::held && w.holder == dead.peer.value()) return Left::held;
    if (w.phase != Phase::in_flight) return Left::not_at_all;
    const bool is_to_it = w.lane == dead.to_it.value();
    const bool is_half_sent = w.lane == dead.from_it.value() && !is_published();
    return is_to_it || is_half_sent ? Left::in_flight : Left::not_at_all;
  };
  // [P6] seq_cst: partner [P5], the sender's held -> in_flight.
  auto seen = word.load(std::memory_order_seq_cst);
  for (;;) {
    const auto left = left_of(TruthWord::unpack(seen));
    if (left == Left::not_at_all) return left;
    // [P1] seq_cst, as every free: for the next holder and the waiters. On failure [P6] again. ABA:
    // the generation.
    if (word.compare_exchange_strong(seen, TruthWord::unpack(seen).freed().pack(),
                                     std::memory_order_seq_cst, std::memory_order_seq_cst)) {
      return left;
    }
  }
}

std::uint32_t disown_chunks(const Arena& arena, ClassId id, PeerId dead) noexcept {
  const auto& view = arena.view(id);
  std::uint32_t disowned = 0;
  arena.for_each_touched_chunk(id, [&](std::uint32_t begin, std::uint32_t end) {
    for (auto chunk = begin; chunk < end; ++chunk) {
      auto owner = dead.value() + 1;
      // Relaxed: a hint. The bit first, so that the peer that adopts the chunk looks into it.
      if (view.owners[chunk].load(std::memory_order_relaxed) != owner) continue;
      view.hint(chunk << view.geometry.chunk_shift);
      view.owners[chunk].compare_exchange_strong(owner, 0, std::memory_order_relaxed,
                                                 std::memory_order_relaxed);
      ++disowned;
    }
  });
  return disowned;
}

}  // namespace

Reclaimed reclaim(const Arena& arena, const DeadPeer& dead) {
  const auto published = slabs_of(arena, dead.published);
  Reclaimed done;
  for (std::uint32_t c = 0; c < arena.class_count(); ++c) {
    const auto& view = arena.view(ClassId{c});
    arena.for_each_touched_slab(ClassId{c}, [&](std::uint32_t begin, std::uint32_t end) {
      for (auto i = begin; i < end; ++i) {
        const auto left =
            free_if_left(view.words[i], dead, [&] { return published.contains(key(c, i)); });
        if (left == Left::not_at_all) continue;
        ++(left == Left::held ? done.held : done.in_flight);
        view.hint(i);
      }
    });
    if (view.geometry.chunk_slabs > 1) done.chunks += disown_chunks(arena, ClassId{c}, dead.peer);
  }
  return done;
}

}  // namespace mews::inline MEWS_LAYOUT::mem
