// SPDX-License-Identifier: MIT
#include "model/tiny_arena.hpp"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace mews::model {
namespace {

using layout::Phase;
using layout::TruthWord;

mem::Arena make_arena(const TinyPlan& plan) {
  const layout::ClassPlan rows[] = {{.slab_bytes = 4096, .slab_count = plan.slabs}};
  auto check = layout::plan_geometry({.peer_capacity = kPeers,
                                      .ring_cells = layout::kMinRingCells,
                                      .fallback_classes = 0,
                                      .classes = rows});
  // Smaller chunks than any plan makes; the hints of so few still fit where the plan put them.
  auto& row = check.geometry.classes[0];
  row.chunk_slabs = plan.chunk_slabs;
  row.chunk_shift = static_cast<std::uint32_t>(std::countr_zero(plan.chunk_slabs));
  row.chunk_count = (plan.slabs + plan.chunk_slabs - 1) / plan.chunk_slabs;
  auto file = os::MemoryFile::create_anonymous("mews model", check.geometry.arena_bytes);
  auto arena = file ? mem::Arena::create(std::move(*file), check.geometry)
                    : Result<mem::Arena>(tl::unexpected(file.error()));
  if (!arena) {
    std::fprintf(stderr, "%s\n", arena.error().message().c_str());
    std::abort();
  }
  return std::move(*arena);
}

void open(const Result<void>& opened) {
  if (opened) return;
  std::fprintf(stderr, "%s\n", opened.error().message().c_str());
  std::abort();
}

}  // namespace

TinyArena::TinyArena(const TinyPlan& plan, Words& words)
    : arena_(make_arena(plan)), slabs_(plan.slabs) {
  for (std::uint32_t i = 0; i < arena_.geometry().lane_count(); ++i)
    open(arena_.open_cells(LaneId{i}));
  open(arena_.open_slabs(ClassId{0}, SlabIndex{0}, slabs_));
  const auto& row = view();
  words.add("truth", &row.words[0], slabs_);
  words.add("owner", row.owners, row.geometry.chunk_count);
  words.add("hints", row.hints);
  words.add("fresh", &arena_.pool().fresh[0]);
  words.add("freed_bell", &arena_.pool().freed_bell[0]);
  words.add("host.seat", &arena_.peer(kHostPeer).seat);
  for (const auto lane : {kToHost, kToPlugin}) {
    const auto name = std::string(lane == kToHost ? "to_host" : "to_plugin");
    auto& state = arena_.lane(lane);
    words.add(name + ".head", &state.head);
    words.add(name + ".data_bell", &state.data_bell);
    words.add(name + ".reader_left", &state.reader_left);
    words.add(name + ".space_bell", &state.space_bell);
    const auto cells = arena_.cells(lane);
    words.add(name + ".mark", &cells[0].mark, cells.size(), sizeof(layout::Cell));
  }
}

void TinyArena::reset() {
  const auto& geometry = arena_.geometry();
  auto* base = view().slabs - geometry.classes[0].slabs_offset;
  const auto end = geometry.cells_offset + geometry.lane_count() * geometry.lane_cells_bytes();
  std::memset(base + geometry.seats_offset, 0, end - geometry.seats_offset);
  for (std::uint32_t i = 0; i < slabs_; ++i) {
    // As if used before: no scenario is about pages.
    view().backing[i].store(mem::kBackedSlab, std::memory_order_relaxed);
    view().words[i].store(TruthWord{.backed_eighths = layout::kFullyBacked}.pack(),
                          std::memory_order_relaxed);
  }
  for (int i = 0; i < kPeers; ++i) {
    arena_.peer(PeerId{static_cast<std::uint32_t>(i)})
        .seat.store(layout::SeatWord{layout::PeerState::attached, 0}.pack(),
                    std::memory_order_relaxed);
    pools_[static_cast<std::size_t>(i)].emplace(arena_, PeerId{static_cast<std::uint32_t>(i)});
  }
  known_.assign(slabs_, kNobody);
}

std::optional<mem::Slab> TinyArena::claim(int peer) {
  auto slab = claim_one(pool(peer));
  if (slab) knows(peer, *slab);
  return slab;
}

bool TinyArena::release(int peer, const mem::Slab& slab) {
  forgets(peer, slab);
  return pool(peer).release(slab);
}

bool TinyArena::send(int peer, mem::Slab& slab, LaneId lane) {
  forgets(peer, slab);
  return pool(peer).mark_in_flight(slab, lane);
}

std::optional<mem::Slab> TinyArena::take(int peer, const mem::SlabHandle& claim, LaneId lane,
                                         int sender) {
  auto slab =
      mews_test::try_accept(pool(peer), claim, lane, PeerId{static_cast<std::uint32_t>(sender)});
  if (slab) knows(peer, *slab);
  return slab;
}

void TinyArena::knows(int peer, const mem::Slab& slab) {
  for (std::uint32_t i = 0; i < slab.count; ++i) {
    const auto index = slab.first.value() + i;
    expect(index < slabs_, "a slab was given out that does not exist");
    auto& known = known_[index];
    expect(known == kNobody || is_dead(known), "a slab is held by two");
    known = peer;
  }
}

void TinyArena::forgets(int peer, const mem::Slab& slab) {
  for (std::uint32_t i = 0; i < slab.count; ++i) {
    auto& known = known_[slab.first.value() + i];
    expect(known == peer, "a slab that a peer holds went to another meanwhile");
    known = kNobody;
  }
}

void TinyArena::expect_sound(int left_by) {
  for (std::uint32_t i = 0; i < slabs_; ++i) {
    const auto word = TruthWord::unpack(view().words[i].load(std::memory_order_relaxed));
    const int known = known_[i];
    const bool is_left =
        left_by >= 0 && is_dead(left_by) && word.phase != Phase::free && word.holder == left_by;
    if (is_left) continue;
    expect(word.phase == Phase::free || word.phase == Phase::held, "a slab stays in flight");
    if (word.phase == Phase::held) {
      expect(!is_dead(word.holder), "a slab stays with a dead peer");
      expect(known == word.holder, "a slab is held by a peer that does not know it");
    } else {
      expect(known == kNobody || is_dead(known), "a slab was freed while a peer held it");
    }
  }
}

void TinyArena::expect_whole(int peer, std::uint32_t at_least) {
  std::uint32_t free = 0;
  for (std::uint32_t i = 0; i < slabs_; ++i) {
    const auto word = TruthWord::unpack(view().words[i].load(std::memory_order_relaxed));
    if (word.phase == Phase::free) ++free;
  }
  expect(free >= at_least, "a slab is lost");
  std::uint32_t claimed = 0;
  while (const auto slab = claim_one(pool(peer))) {
    if (slab->first.value() >= slabs_)
      return expect(false, "a slab was given out that does not exist");
    ++claimed;
  }
  expect(claimed == free, "a free slab cannot be claimed");
}

}  // namespace mews::model
