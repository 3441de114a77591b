// SPDX-License-Identifier: MIT
#include "mews/mem/arena.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

namespace mews::mem {
namespace {

using layout::GeometryFault;

ErrorCode code_of(GeometryFault::Kind kind) noexcept {
  switch (kind) {
    case GeometryFault::Kind::not_an_arena:
      return ErrorCode::not_an_arena;
    case GeometryFault::Kind::version:
      return ErrorCode::version_mismatch;
    case GeometryFault::Kind::not_ready:
      return ErrorCode::not_ready;
    case GeometryFault::Kind::bad_field:
      break;
  }
  return ErrorCode::bad_geometry;
}

layout::ArenaHeader& header_of(const os::Mapping& mapping) noexcept {
  return *reinterpret_cast<layout::ArenaHeader*>(mapping.bytes().data());
}

// Reading a page that has never been written through a mapping makes the system find memory for
// it, and where /dev/shm is full that is SIGBUS. A plain read gives zeroes.
Result<bool> has_header(const os::MemoryFile& file) {
  std::array<std::byte, sizeof(layout::ArenaHeader)> header{};
  if (::pread(file.fd(), header.data(), header.size(), 0) < 0) {
    return tl::unexpected(Error::os(errno, "pread", "the arena's header"));
  }
  return std::ranges::any_of(header, [](std::byte byte) { return byte != std::byte{0}; });
}

template <class T>
T* at(std::byte* base, std::uint64_t offset) noexcept {
  return reinterpret_cast<T*>(base + offset);
}

}  // namespace

Arena::Arena(os::MemoryFile file, os::Mapping mapping, const layout::Geometry& geometry) noexcept
    : file_(std::move(file)), mapping_(std::move(mapping)), geometry_(geometry) {
  std::byte* base = mapping_.bytes().data();
  peers_ = at<layout::PeerEntry>(base, geometry_.peers_offset);
  lanes_ = at<layout::LaneState>(base, geometry_.lanes_offset);
  pool_ = at<layout::PoolState>(base, geometry_.pool_offset);
  cells_ = at<layout::Cell>(base, geometry_.cells_offset);
  for (std::uint32_t i = 0; i < geometry_.class_count; ++i) {
    const auto& row = geometry_.classes[i];
    classes_[i] = {.geometry = row,
                   .words = at<layout::AtomicTruthWord>(base, row.words_offset),
                   .owners = at<base::Atomic<std::uint32_t>>(base, row.owners_offset),
                   .hints = at<base::Atomic<std::uint64_t>>(base, row.hints_offset),
                   .slabs = base + row.slabs_offset};
  }
}

Result<Arena> Arena::create(os::MemoryFile file, const layout::Geometry& geometry) {
  auto mapping = os::Mapping::map(file, geometry.arena_bytes);
  if (!mapping) return tl::unexpected(mapping.error());
  // Where /dev/shm is full, writing to a page without memory would be SIGBUS.
  auto backed = os::commit_pages(file, 0, mapping->bytes().first(layout::kPageBytes));
  if (!backed) return tl::unexpected(backed.error());
  auto& header = header_of(*mapping);
  layout::write_header(geometry, header.fields);
  // Release, paired with the acquire in read_geometry: the fields before `ready`.
  header.ready.store(layout::kReady, std::memory_order_release);
  return Arena(std::move(file), std::move(*mapping), geometry);
}

Result<Arena> Arena::attach(os::MemoryFile file, Deadline deadline) {
  // The creator's progress has no bell: it takes microseconds, and only a racing attach sees it.
  for (auto pause = std::chrono::microseconds(50);;
       pause = std::min(pause * 2, decltype(pause)(5000))) {
    auto bytes = file.bytes();
    if (!bytes) return tl::unexpected(bytes.error());
    layout::GeometryFault fault{GeometryFault::Kind::not_ready, "it has no header yet"};
    if (*bytes >= sizeof(layout::ArenaHeader)) {
      const auto is_there = has_header(file);
      if (!is_there) return tl::unexpected(is_there.error());
      if (*is_there) {
        auto mapping = os::Mapping::map(file, *bytes);
        if (!mapping) return tl::unexpected(mapping.error());
        auto check = layout::read_geometry(header_of(*mapping), *bytes);
        if (!check.fault) return Arena(std::move(file), std::move(*mapping), check.geometry);
        fault = std::move(*check.fault);
      }
    } else if (*bytes != 0) {
      return fail(ErrorCode::bad_geometry, fmt::format("{} bytes are too few for a header of {}",
                                                       *bytes, sizeof(layout::ArenaHeader)));
    }
    if (fault.kind != GeometryFault::Kind::not_ready || deadline.has_passed()) {
      return fail(code_of(fault.kind), std::move(fault.sentence));
    }
    std::this_thread::sleep_for(std::min<Deadline::Clock::duration>(pause, deadline.left()));
  }
}

Result<void> Arena::commit_control() const {
  return os::commit_pages(file_, 0, mapping_.bytes().first(geometry_.cells_offset));
}

Result<void> Arena::commit_cells(LaneId id) const {
  const auto bytes = std::uint64_t{geometry_.ring_cells} * sizeof(layout::Cell);
  const auto offset = geometry_.cells_offset + id.value() * bytes;
  return os::commit_pages(file_, offset, mapping_.bytes().subspan(offset, bytes));
}

Result<void> Arena::commit(ClassId id, SlabIndex slab, std::uint64_t from, std::uint64_t to) const {
  const auto& row = geometry_.classes[id.value()];
  const auto offset = row.slabs_offset + std::uint64_t{slab.value()} * row.slab_bytes + from;
  auto committed = os::commit_pages(file_, offset, mapping_.bytes().subspan(offset, to - from));
  // What of it was there before the failure must not stay behind, unaccounted for.
  if (!committed) os::discard_pages(file_, offset, to - from);
  return committed;
}

}  // namespace mews::mem
