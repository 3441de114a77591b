// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mews/base/visible.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

/// An arena at one moment, by its truth words: counted one after the other while others work.
struct Stats {
  struct Class {
    std::uint64_t slab_bytes = 0;
    std::uint32_t slab_count = 0;
    std::uint32_t held = 0;          ///< loans and messages
    std::uint32_t in_flight = 0;     ///< sent and not yet received
    std::uint32_t bad = 0;           ///< truth words that no correct process writes
    std::uint64_t backed_bytes = 0;  ///< of all its slabs, free ones included
  };
  struct Holder {
    std::string name;
    std::uint32_t held = 0;
    std::uint32_t in_flight = 0;  ///< sent by it
  };
  std::uint64_t arena_virtual_bytes = 0;
  std::uint64_t arena_resident_bytes = 0;  ///< in all processes together
  std::uint32_t plugins = 0;               ///< attached now
  std::vector<Class> classes;
  std::vector<Holder> holders;  ///< peers with any slab, most first

  /// Returns whether no slab is held, in flight or bad.
  [[nodiscard]] bool is_all_free() const noexcept;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
