// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "mews/ids.hpp"
#include "mews/mem/arena.hpp"

namespace mews::inline MEWS_LAYOUT::mem {

/// The number of slabs of one class that one peer has.
struct Holding {
  PeerId peer{};
  std::uint32_t held = 0;       ///< loans and messages
  std::uint32_t in_flight = 0;  ///< sent by it and not yet received
  std::uint32_t unchanged = 0;  ///< of both: number whose word is as when the census began
};

/// The holders of the slabs of a class: for the error text of a wait that ran into its deadline.
///
/// Reads the truth words, and costs nothing else. Not atomic as a whole: each slab is counted as it
/// was at one moment of the call. Any thread.
class Census {
 public:
  /// Remembers the present state, to tell later which slabs have not moved since.
  Census(const Arena& arena, ClassId id);
  /// Returns the peers with at least one slab, most first.
  [[nodiscard]] std::vector<Holding> holdings() const;

 private:
  const Arena& arena_;
  ClassId id_;
  std::vector<std::uint64_t> before_;
};

/// The state of a whole arena, by its truth words.
struct Audit {
  struct Class {
    std::uint64_t slab_bytes = 0;
    std::uint32_t slabs = 0;
    std::uint32_t held = 0;
    std::uint32_t in_flight = 0;
    std::uint32_t bad = 0;  ///< words that no transition can produce
    std::uint64_t backed_bytes = 0;
  };
  std::vector<Class> classes;
  std::vector<Holding> peers;  ///< per peer over all classes; `unchanged` is 0

  [[nodiscard]] bool is_all_free() const noexcept;
};
[[nodiscard]] Audit audit(const Arena& arena);

}  // namespace mews::inline MEWS_LAYOUT::mem
