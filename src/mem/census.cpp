// SPDX-License-Identifier: MIT
#include "mews/mem/census.hpp"

#include <algorithm>
#include <unordered_map>

namespace mews::inline MEWS_LAYOUT::mem {
namespace {

using layout::Phase;
using layout::TruthWord;

std::vector<Holding> sorted(const std::unordered_map<std::uint32_t, Holding>& by_peer) {
  std::vector<Holding> holdings;
  for (const auto& [peer, holding] : by_peer)
    holdings.push_back(holding);
  std::sort(holdings.begin(), holdings.end(), [](const Holding& a, const Holding& b) {
    const auto total = [](const Holding& h) { return h.held + h.in_flight; };
    return total(a) != total(b) ? total(a) > total(b) : a.peer < b.peer;
  });
  return holdings;
}

bool is_possible(const TruthWord& word, const layout::Geometry& geometry) noexcept {
  if (word.backed_eighths > layout::kFullyBacked) return false;
  switch (word.phase) {
    case Phase::free:
      return word.holder == 0 && word.lane == 0;
    case Phase::held:
      return word.holder < geometry.peer_capacity && word.lane == 0 && word.generation != 0;
    case Phase::in_flight:
      return word.holder < geometry.peer_capacity && word.lane < geometry.lane_count();
  }
  return false;
}

}  // namespace

Census::Census(const Arena& arena, ClassId id) : arena_(arena), id_(id) {
  arena.for_each_touched_slab(id, [&](std::uint32_t begin, std::uint32_t end) {
    before_.resize(end);
    // Relaxed, here and in `holdings`: figures.
    for (auto i = begin; i < end; ++i)
      before_[i] = arena.view(id).words[i].load(std::memory_order_relaxed);
  });
}

std::vector<Holding> Census::holdings() const {
  std::unordered_map<std::uint32_t, Holding> by_peer;
  arena_.for_each_touched_slab(id_, [&](std::uint32_t begin, std::uint32_t end) {
    for (auto i = begin; i < end; ++i) {
      const auto seen = arena_.view(id_).words[i].load(std::memory_order_relaxed);
      const auto word = TruthWord::unpack(seen);
      if (word.phase != Phase::held && word.phase != Phase::in_flight) continue;
      auto& holding = by_peer[word.holder];
      holding.peer = PeerId{word.holder};
      ++(word.phase == Phase::held ? holding.held : holding.in_flight);
      if (i < before_.size() && before_[i] == seen) ++holding.unchanged;
    }
  });
  return sorted(by_peer);
}

bool Audit::is_all_free() const noexcept {
  return std::all_of(classes.begin(), classes.end(), [](const Class& row) {
    return row.held == 0 && row.in_flight == 0 && row.bad == 0;
  });
}

Audit audit(const Arena& arena) {
  Audit result;
  std::unordered_map<std::uint32_t, Holding> by_peer;
  for (std::uint32_t c = 0; c < arena.class_count(); ++c) {
    const auto& view = arena.view(ClassId{c});
    Audit::Class row{.slab_bytes = view.geometry.slab_bytes, .slabs = view.geometry.slab_count};
    const auto count = [&](const TruthWord& word) {
      if (!is_possible(word, arena.geometry())) {
        ++row.bad;
        return;
      }
      row.backed_bytes += view.geometry.slab_bytes * word.backed_eighths / 8;
      if (word.phase == Phase::free) return;
      ++(word.phase == Phase::held ? row.held : row.in_flight);
      auto& holding = by_peer[word.holder];
      holding.peer = PeerId{word.holder};
      ++(word.phase == Phase::held ? holding.held : holding.in_flight);
    };
    arena.for_each_touched_slab(ClassId{c}, [&](std::uint32_t begin, std::uint32_t end) {
      // Acquire: so that the caller can look at the bytes of a free slab; partner [P1].
      for (auto i = begin; i < end; ++i)
        count(TruthWord::unpack(view.words[i].load(std::memory_order_acquire)));
    });
    result.classes.push_back(row);
  }
  result.peers = sorted(by_peer);
  return result;
}

}  // namespace mews::inline MEWS_LAYOUT::mem
