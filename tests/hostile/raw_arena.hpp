// SPDX-License-Identifier: MIT
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "../support/arena_mapping.hpp"
#include "mews/mem/arena.hpp"

/// The arena as one sees it who has its memory and keeps to nothing.
namespace hostile_test {

/// All of an arena, mapped once more and writable, whatever the library forbids itself.
class RawArena {
 public:
  /// Of the arena that this process has a descriptor of, whose name begins so. Throws.
  explicit RawArena(const std::string& name) : RawArena(mews_test::attach_once_more(name)) {}
  RawArena(const RawArena&) = delete;
  RawArena& operator=(const RawArena&) = delete;
  ~RawArena() { ::munmap(words_.data(), words_.size_bytes()); }

  /// Every word of it.
  [[nodiscard]] std::span<std::uint64_t> words() const noexcept { return words_; }
  /// Those before the first slab: all that is not payload.
  [[nodiscard]] std::span<std::uint64_t> control() const noexcept {
    auto end = view_.geometry().arena_bytes;
    for (std::uint32_t i = 0; i < view_.class_count(); ++i)
      end = std::min(end, view_.geometry().classes[i].slabs_offset);
    return words_.first(end / sizeof(std::uint64_t));
  }
  [[nodiscard]] std::span<std::uint64_t> payloads() const noexcept {
    return words_.subspan(control().size());
  }
  [[nodiscard]] const mews::layout::Geometry& geometry() const noexcept { return view_.geometry(); }

  // Written through the view, these may be forbidden; here nothing is.
  [[nodiscard]] mews::layout::PeerEntry& peer(std::uint32_t id) const {
    return here(view_.peer(mews::PeerId{id}));
  }
  [[nodiscard]] mews::layout::LaneState& lane(std::uint32_t id) const {
    return here(view_.lane(mews::LaneId{id}));
  }
  [[nodiscard]] std::span<mews::layout::Cell> cells(std::uint32_t id) const {
    const auto cells = view_.cells(mews::LaneId{id});
    return {&here(cells[0]), cells.size()};
  }
  [[nodiscard]] mews::layout::PoolState& pool() const { return here(view_.pool()); }
  [[nodiscard]] mews::mem::ClassView view(std::uint32_t size_class) const {
    auto view = view_.view(mews::ClassId{size_class});
    view.words = {reinterpret_cast<std::byte*>(&here(view.words[0])), view.geometry.slab_bytes};
    view.owners = &here(*view.owners);
    view.hints = &here(*view.hints);
    view.slabs = &here(*view.slabs);
    return view;
  }

 private:
  explicit RawArena(mews::mem::Arena view)
      : view_(std::move(view)), view_begin_(mews_test::mapping_of(&view_.peer(mews::kHostPeer))) {
    const auto bytes = view_.geometry().arena_bytes;
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, view_.file().fd(), 0);
    if (at == MAP_FAILED) throw std::runtime_error("mmap of the arena");
    words_ = {static_cast<std::uint64_t*>(at), bytes / sizeof(std::uint64_t)};
  }
  /// The same object in the writable mapping.
  template <class T>
  [[nodiscard]] T& here(T& object) const {
    const auto offset = reinterpret_cast<std::uintptr_t>(&object) - view_begin_;
    return *reinterpret_cast<T*>(reinterpret_cast<std::byte*>(words_.data()) + offset);
  }

  mews::mem::Arena view_;
  std::uintptr_t view_begin_;
  std::span<std::uint64_t> words_;
};

}  // namespace hostile_test
