// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "mews/mem/arena.hpp"
#include "model/order_log.hpp"
#include "support/arena_mapping.hpp"

/// The named words of an arena that a session of this process has mapped.
namespace mews::model {

/// This process's mapping of the arena of that name, and a second view of it.
class Mapped {
 public:
  explicit Mapped(const std::string& name)
      : base_(mews_test::mapping_of_arena(name)), view_(mews_test::attach_once_more(name)) {}

  [[nodiscard]] std::map<std::string, WordKind> kinds() const {
    const auto& host = view_.peer(kHostPeer);
    const auto& plugin = view_.peer(PeerId{1});
    const auto cells = view_.cells(LaneId{0});
    const auto lane_bytes = reinterpret_cast<const char*>(&view_.lane(LaneId{1})) -
                            reinterpret_cast<const char*>(&view_.lane(LaneId{0}));
    const auto words_of = [this](ClassId id) {
      const auto& view = view_.view(id);
      return at(&view.words[0], view.geometry.slab_count,
                layout::truth_word_stride(view.geometry.slab_bytes));
    };
    return {{"ready", {base_ + offsetof(layout::ArenaHeader, ready)}},
            {"host's seat", at(&host.seat)},
            {"host's fences", at(&host.fences)},
            {"plugin's seat", at(&plugin.seat)},
            {"plugin's fences", at(&plugin.fences)},
            {"heads", at(&view_.lane(LaneId{0}).head, 2, static_cast<std::size_t>(lane_bytes))},
            {"readers left",
             at(&view_.lane(LaneId{0}).reader_left, 2, static_cast<std::size_t>(lane_bytes))},
            {"anything", {0, ~std::size_t{0}}},
            {"marks", at(&cells[0].mark, cells.size(), sizeof(layout::Cell))},
            {"truth words", words_of(ClassId{0})},
            {"truth words of the largest", words_of(ClassId{1})},
            {"hints", at(view_.view(ClassId{0}).hints)}};
  }

 private:
  template <class T>
  [[nodiscard]] WordKind at(const T* word, std::size_t count = 1, std::size_t stride = 1) const {
    const auto view_base = mews_test::mapping_of(word);
    return {reinterpret_cast<std::uintptr_t>(word) - view_base + base_, count, stride};
  }

  std::uintptr_t base_;
  mem::Arena view_;
};

}  // namespace mews::model
