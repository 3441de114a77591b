// SPDX-License-Identifier: MIT
#include "mews/mem/arena.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

namespace mews::inline MEWS_LAYOUT::mem {
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

// A read through a mapping of a page that was never written makes the system find memory for it,
// and where /dev/shm is full that is SIGBUS. A plain read gives zeroes.
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

Arena::Arena(os::MemoryFile file, os::Mapping mapping, os::PrivateMemory backing,
             const layout::Geometry& geometry) noexcept
    : file_(std::move(file)),
      mapping_(std::move(mapping)),
      backing_(std::move(backing)),
      geometry_(geometry),
      is_sealed_(file_.is_sealed()) {
  std::byte* base = mapping_.bytes().data();
  seats_ = at<layout::SeatPage>(base, geometry_.seats_offset);
  pool_ = at<layout::PoolState>(base, geometry_.pool_offset);
  auto* known = at<Backing>(backing_.bytes().data(), 0);
  for (std::uint32_t i = 0; i < geometry_.class_count; ++i) {
    const auto& row = geometry_.classes[i];
    classes_[i] = {.geometry = row,
                   .words = {base + row.words_offset, row.slab_bytes},
                   .owners = at<base::Atomic<std::uint32_t>>(base, row.owners_offset),
                   .hints = at<base::Atomic<std::uint64_t>>(base, row.hints_offset),
                   .backing = known,
                   .slabs = base + row.slabs_offset,
                   .ordinary_slabs = geometry_.ordinary_slabs(i)};
    known += row.slab_count;
  }
}

Result<Arena> Arena::make(os::MemoryFile file, os::Mapping mapping,
                          const layout::Geometry& geometry) {
  std::uint64_t slabs = 0;
  for (std::uint32_t i = 0; i < geometry.class_count; ++i)
    slabs += geometry.classes[i].slab_count;
  auto backing = os::PrivateMemory::make(slabs);
  if (!backing) return tl::unexpected(std::move(backing.error()));
  // The header first: parts that share a page of the system with it must stay writable.
  auto allowed = mapping.allow(0, layout::kPageBytes, os::Access::read);
  if (allowed) {
    allowed = mapping.allow(layout::kPageBytes, geometry.cells_offset - layout::kPageBytes,
                            os::Access::write);
  }
  if (!allowed) return tl::unexpected(std::move(allowed.error()));
  // Header, seats and words, for a debugger. Cells are added as they are opened.
  mapping.show_in_dumps(0, geometry.cells_offset);
  return Arena(std::move(file), std::move(mapping), std::move(*backing), geometry);
}

Result<Arena> Arena::create(os::MemoryFile file, const layout::Geometry& geometry) {
  auto mapping = os::Mapping::reserve(file, geometry.arena_bytes);
  if (!mapping) return tl::unexpected(mapping.error());
  auto allowed = mapping->allow(0, layout::kPageBytes, os::Access::write);
  if (!allowed) return tl::unexpected(std::move(allowed.error()));
  // Where /dev/shm is full, writing to a page without memory would be SIGBUS.
  auto backed = os::commit_pages(file, 0, mapping->bytes().first(layout::kPageBytes));
  if (!backed) return tl::unexpected(std::move(backed.error()));
  auto& header = header_of(*mapping);
  layout::write_header(geometry, header.fields);
  // Release, paired with the acquire in read_geometry: the fields before `ready`.
  header.ready.store(layout::kReady, std::memory_order_release);
  return make(std::move(file), std::move(*mapping), geometry);
}

Result<Arena> Arena::attach(os::MemoryFile file, Deadline deadline) {
  // The creator's progress has no bell: it takes microseconds, and only a racing attach waits for
  // it.
  for (auto pause = std::chrono::microseconds(50);;
       pause = std::min(pause * 2, decltype(pause)(5000))) {
    auto bytes = file.bytes();
    if (!bytes) return tl::unexpected(bytes.error());
    layout::GeometryFault fault{GeometryFault::Kind::not_ready, "it has no header yet"};
    if (*bytes >= sizeof(layout::ArenaHeader)) {
      const auto is_there = has_header(file);
      if (!is_there) return tl::unexpected(is_there.error());
      if (*is_there) {
        auto mapping = os::Mapping::reserve(file, *bytes);
        if (!mapping) return tl::unexpected(mapping.error());
        auto allowed = mapping->allow(0, layout::kPageBytes, os::Access::read);
        if (!allowed) return tl::unexpected(std::move(allowed.error()));
        auto check = layout::read_geometry(header_of(*mapping), *bytes);
        if (!check.fault) {
          auto arena = make(std::move(file), std::move(*mapping), check.geometry);
          if (arena)
            allowed = arena->mapping_.allow(arena->geometry_.cells_offset, arena->cells_bytes(),
                                            os::Access::write);
          if (!allowed) return tl::unexpected(std::move(allowed.error()));
          return arena;
        }
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

// Removes all rights of the mapping; then allows reads, then writes, as a page of the system may
// have parts of both kinds.
Result<void> Arena::protect(PeerId self) const {
  using enum os::Access;
  const LaneId in{2 * self.value() - 2};
  const LaneId out{2 * self.value() - 1};
  const auto seat = geometry_.seats_offset + self.value() * sizeof(layout::SeatPage);
  struct Part {
    std::uint64_t offset;
    std::uint64_t bytes;
    os::Access access;
  };
  const Part parts[] = {
      {0, geometry_.pool_offset, read},
      {geometry_.cells_offset, cells_bytes(), none},
      {cells_offset(in), geometry_.lane_cells_bytes(), read},
      {seat, sizeof(layout::SeatPage), write},
      {geometry_.pool_offset, geometry_.cells_offset - geometry_.pool_offset, write},
      {cells_offset(out), geometry_.lane_cells_bytes(), write},
  };
  for (const auto& part : parts) {
    if (auto allowed = mapping_.allow(part.offset, part.bytes, part.access); !allowed)
      return allowed;
  }
  for (const auto lane : {in, out})
    mapping_.show_in_dumps(cells_offset(lane), geometry_.lane_cells_bytes());
  return {};
}

Result<void> Arena::open_cells(LaneId id) const {
  mapping_.show_in_dumps(cells_offset(id), geometry_.lane_cells_bytes());
  return mapping_.allow(cells_offset(id), geometry_.lane_cells_bytes(), os::Access::write);
}

Result<void> Arena::open_slabs(ClassId id, SlabIndex first, std::uint32_t count) const {
  const auto& view = classes_[id.value()];
  const auto& row = view.geometry;
  const auto begin = first.value() >> row.chunk_shift << row.chunk_shift;
  const auto last_chunk = (first.value() + count - 1) >> row.chunk_shift;
  const auto end = std::min((last_chunk + 1) << row.chunk_shift, row.slab_count);
  const auto open = [&](std::uint64_t from, std::uint64_t to) {
    return mapping_.allow(row.slabs_offset + from * row.slab_bytes, (to - from) * row.slab_bytes,
                          os::Access::write);
  };
  auto opened = open(begin, end);
  // The system limits the number of areas of different protection (vm.max_map_count): then the
  // whole class becomes one area.
  if (!opened) opened = open(0, row.slab_count);
  if (!opened) return opened;
  // Relaxed, and ABA: see `Backing`.
  for (auto i = begin; i < end; ++i) {
    std::uint8_t closed = 0;
    view.backing[i].compare_exchange_strong(closed, kOpenSlab, std::memory_order_relaxed,
                                            std::memory_order_relaxed);
  }
  return {};
}

Result<void> Arena::commit_control() const {
  const auto offset = geometry_.seats_offset;
  return os::commit_pages(file_, offset,
                          mapping_.bytes().subspan(offset, geometry_.cells_offset - offset))
      .map([](std::uint64_t) {});
}

Result<void> Arena::commit_cells(LaneId id) const {
  const auto offset = cells_offset(id);
  return os::commit_pages(file_, offset,
                          mapping_.bytes().subspan(offset, geometry_.lane_cells_bytes()))
      .map([](std::uint64_t) {});
}

Result<std::uint64_t> Arena::commit(ClassId id, SlabIndex slab, SlabBytes bytes,
                                    Deadline deadline) const {
  const auto& row = geometry_.classes[id.value()];
  const auto offset = row.slabs_offset + std::uint64_t{slab.value()} * row.slab_bytes + bytes.from;
  const auto range = mapping_.bytes().subspan(offset, bytes.to - bytes.from);
  // Pages that another process knows of must not vanish.
  const bool goes_back =
      bytes.on_failure == OnFailure::give_back && file_.next_data(offset) >= offset + range.size();
  auto got = os::commit_pages(file_, offset, range, deadline);
  if (!got && goes_back) os::discard_pages(file_, offset, range.size());
  return got;
}

}  // namespace mews::inline MEWS_LAYOUT::mem
