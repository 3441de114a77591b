// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "mews/layout/geometry.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mem/census.hpp"
#include "mews/os/memory_file.hpp"
#include "mews/os/unique_fd.hpp"
#include "support/slabs.hpp"

/// Small arenas for tests of their contents.
namespace mews_test {

/// Four kinds of class: chunks of 512 and of 64 slabs, both with a short last chunk; one chunk that
/// is not full; and slabs without chunks, the only ones that make runs.
struct ArenaSpec {
  std::uint32_t peers = 4;
  std::uint32_t ring_cells = 32;
  std::uint32_t fallback_classes = 0;
  std::vector<mews::layout::ClassPlan> classes{
      {1024, 1030}, {16384, 24}, {65536, 70}, {std::uint64_t{4} << 20, 8}};
};

inline constexpr mews::ClassId kKiB{0};
inline constexpr mews::ClassId k16KiB{1};
inline constexpr mews::ClassId k64KiB{2};
inline constexpr mews::ClassId k4MiB{3};

[[nodiscard]] inline mews::layout::GeometryCheck plan(const ArenaSpec& spec) {
  auto check = mews::layout::plan_geometry({.peer_capacity = spec.peers,
                                            .ring_cells = spec.ring_cells,
                                            .fallback_classes = spec.fallback_classes,
                                            .classes = spec.classes});
  check.geometry.arena_id[0] = 1;
  return check;
}

template <class T>
T value_or_throw(mews::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

[[nodiscard]] inline mews::mem::Arena make_arena(const ArenaSpec& spec = {}) {
  const auto check = plan(spec);
  if (check.fault) throw std::runtime_error(check.fault->sentence);
  auto file = value_or_throw(
      mews::os::MemoryFile::create_anonymous("mews-test", check.geometry.arena_bytes));
  auto arena = value_or_throw(mews::mem::Arena::create(std::move(file), check.geometry));
  for (std::uint32_t i = 0; i < check.geometry.lane_count(); ++i)
    value_or_throw(arena.open_cells(mews::LaneId{i}));
  return arena;
}

/// The same arena mapped once more, as in another process.
[[nodiscard]] inline mews::Result<mews::mem::Arena> attach_to(
    const mews::os::MemoryFile& file, mews::Deadline deadline = std::chrono::seconds(10)) {
  mews::os::UniqueFd fd(::fcntl(file.fd(), F_DUPFD_CLOEXEC, 0));
  return mews::mem::Arena::attach(mews::os::MemoryFile::adopt(std::move(fd)), deadline);
}

/// Returns the truth word of a slab, unpacked.
[[nodiscard]] inline mews::layout::TruthWord truth(const mews::mem::Arena& arena, mews::ClassId id,
                                                   std::uint32_t index) {
  return mews::layout::TruthWord::unpack(
      arena.view(id).words[index].load(std::memory_order_acquire));
}

/// Returns whether `peer` holds any slab, by the truth words.
[[nodiscard]] inline bool holds_any(const mews::mem::Arena& arena, mews::PeerId peer) {
  for (const auto& holding : mews::mem::audit(arena).peers) {
    if (holding.peer == peer && holding.held > 0) return true;
  }
  return false;
}

}  // namespace mews_test
