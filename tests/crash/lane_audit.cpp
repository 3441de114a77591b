// SPDX-License-Identifier: MIT
#include "crash/lane_audit.hpp"

#include <algorithm>

#include "crash/table.hpp"
#include "mews/ring/lane_consumer.hpp"

namespace mews_test {
namespace {

using mews::layout::RecordKind;
using mews::layout::TruthWord;

constexpr auto acquire = std::memory_order_acquire;

std::string lane_text(mews::LaneId lane) {
  return "lane " + std::to_string(lane.value()) + ": ";
}

// Of the record that was written last, the end; what only looks like a mark can make it later.
std::uint64_t end_of_written(std::span<const mews::layout::Cell> cells) {
  std::uint64_t end = 0;
  for (std::uint64_t at = 0; at < cells.size(); ++at) {
    const auto mark = cells[at].mark.load(acquire);
    const auto position = (mark >> 16) - 1;
    const bool is_here = mark != 0 && (position & (cells.size() - 1)) == at;
    const bool is_near = position < (std::uint64_t{1} << 32);
    mews::layout::Descriptor record;
    if (is_here && is_near &&
        mews::ring::look_at(cells, position, record) == mews::ring::Look::record) {
      end = std::max(end, position + record.cells);
    }
  }
  return end;
}

void count_slabs(const mews::mem::Arena& arena, mews::LaneId lane,
                 const mews::layout::Descriptor& record, LaneWalk& walk) {
  if (record.slab_class == mews::layout::kNoClass) return;
  if (record.slab_class >= arena.class_count()) {
    walk.problem += "a record names class " + std::to_string(record.slab_class) + "; ";
    return;
  }
  const auto& view = arena.view(mews::ClassId{record.slab_class});
  const auto count = slabs_of(record.bytes);
  if (record.slab_index + count > view.geometry.slab_count) {
    walk.problem += "a record names slab " + std::to_string(record.slab_index) + "; ";
    return;
  }
  walk.slabs += count;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto word = TruthWord::unpack(view.words[record.slab_index + i].load(acquire));
    const bool is_same = i > 0 || word.generation == record.generation;
    if (word.phase == mews::layout::Phase::in_flight && word.lane == lane.value() && is_same) {
      ++walk.slabs_in_flight;
    }
  }
}

std::string role_fault(const char* role, std::uint32_t found, mews::PeerId peer, bool must_be) {
  const auto taken = peer.value() + 1;
  if (found == taken || (!must_be && found == 0)) return "";
  return std::string("the ") + role + " is " + std::to_string(found) + ", not peer " +
         std::to_string(peer.value()) + "; ";
}

// A plugin that died while it attached may not have taken its roles; the host's are always its own.
std::string faults_of_roles(const mews::mem::Arena& arena, mews::PeerId plugin, bool must_be) {
  const auto& to_it = arena.lane(lane_to(plugin));
  const auto& from_it = arena.lane(lane_from(plugin));
  return role_fault("producer to it", to_it.producer_role.load(acquire), mews::kHostPeer, true) +
         role_fault("consumer from it", from_it.consumer_role.load(acquire), mews::kHostPeer,
                    true) +
         role_fault("consumer to it", to_it.consumer_role.load(acquire), plugin, must_be) +
         role_fault("producer from it", from_it.producer_role.load(acquire), plugin, must_be);
}

std::string faults_of_lane(const mews::mem::Arena& arena, mews::LaneId lane, Range messages) {
  auto walk = walk_lane(arena, lane);
  if (walk.messages < messages.least || walk.messages > messages.most) {
    walk.problem += std::to_string(walk.messages) + " messages lie there, not " +
                    std::to_string(messages.least) + " to " + std::to_string(messages.most) + "; ";
  }
  return walk.problem.empty() ? "" : lane_text(lane) + walk.problem;
}

std::string faults_of_fresh_lane(const mews::mem::Arena& arena, mews::LaneId lane) {
  std::string problem;
  const auto& state = arena.lane(lane);
  if (const auto head = state.head.load(acquire); head != 0) {
    problem += "its head is " + std::to_string(head) + "; ";
  }
  if (state.data_bell.load(acquire) != 0 || state.space_bell.load(acquire) != 0) {
    problem += "its bells were rung or armed; ";
  }
  const auto cells = arena.cells(lane);
  const auto marked = std::count_if(cells.begin(), cells.end(),
                                    [](const auto& cell) { return cell.mark.load(acquire) != 0; });
  if (marked != 0) problem += std::to_string(marked) + " of its cells are marked; ";
  return problem.empty() ? "" : lane_text(lane) + problem;
}

}  // namespace

LaneWalk walk_lane(const mews::mem::Arena& arena, mews::LaneId lane) {
  const auto cells = arena.cells(lane);
  const auto head = arena.lane(lane).head.load(acquire);
  LaneWalk walk;
  if (const auto end = end_of_written(cells); head > end) {
    walk.problem = "its head is " + std::to_string(head) + ", and nothing was written beyond " +
                   std::to_string(end) + "; ";
  }
  auto position = head;
  mews::layout::Descriptor record;
  auto look = mews::ring::look_at(cells, position, record);
  for (; look == mews::ring::Look::record; look = mews::ring::look_at(cells, position, record)) {
    position += record.cells;
    // A lap may go over what is unread of the one before.
    if (position - head > 2 * cells.size()) {
      walk.problem += "more is published than it has cells; ";
      break;
    }
    if (record.kind != RecordKind::message) continue;
    ++walk.messages;
    count_slabs(arena, lane, record, walk);
  }
  if (look == mews::ring::Look::corrupt) {
    walk.problem += "the record at " + std::to_string(position) + " is nonsense; ";
  }
  return walk;
}

std::string faults_of_lanes(const mews::mem::Arena& arena, mews::PeerId plugin, Range to_it,
                            Range from_it) {
  return faults_of_lane(arena, lane_to(plugin), to_it) +
         faults_of_lane(arena, lane_from(plugin), from_it) + faults_of_roles(arena, plugin, false);
}

std::string faults_of_fresh_seat(const mews::mem::Arena& arena, mews::PeerId plugin,
                                 std::uint32_t epoch_before) {
  const auto epoch = mews::layout::SeatWord::unpack(arena.peer(plugin).seat.load(acquire)).epoch;
  auto problem = faults_of_fresh_lane(arena, lane_to(plugin)) +
                 faults_of_fresh_lane(arena, lane_from(plugin)) +
                 faults_of_roles(arena, plugin, true);
  if (epoch != epoch_before + 1) {
    problem += "its epoch went from " + std::to_string(epoch_before) + " to " +
               std::to_string(epoch) + "; ";
  }
  return problem;
}

}  // namespace mews_test
