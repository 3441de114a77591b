// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "crash/table.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mews.hpp"

namespace mews_test {

enum class Company : std::uint8_t { alone, beside_another };

/// Before a scenario about chunks: chunk 0 is the host's home and free; the others are fresh, or
/// were given out and then forgotten. Any state of the hints is one that a death can leave.
/// `host` is any channel of the host's; nothing is done for another scenario.
inline void prepare_chunks(std::string_view scenario, mews::Channel& host,
                           const mews::mem::Arena& arena, Company company) {
  if (!scenario.starts_with("home_chunks")) return;
  constexpr auto relaxed = std::memory_order_relaxed;
  const mews::ClassId id{kHomedClass};
  const auto& view = arena.view(id);
  const bool is_hint_lost = scenario == "home_chunks_without_hints";
  (void)host.try_loan(kHomed);
  for (std::uint32_t chunk = 0; chunk < view.geometry.chunk_count; ++chunk) {
    view.owners[chunk].store(chunk == 0 ? mews::kHostPeer.value() + 1 : 0, relaxed);
  }
  view.hints[0].store(is_hint_lost ? 2 : 1, relaxed);
  // Chunks can be made fresh again only while nobody else has one for its home.
  if (company == Company::alone) {
    arena.pool().fresh[id.value()].store(is_hint_lost ? view.geometry.chunk_count : 1, relaxed);
  }
}

}  // namespace mews_test
