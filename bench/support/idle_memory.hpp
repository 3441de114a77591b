// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

namespace mews::bench {

struct IdleMemory {
  std::uint64_t arena_bytes = 0;  ///< resident, whoever touched it
  /// All processes and the arena (proportional set sizes), over the same processes without one.
  std::uint64_t added_bytes = 0;
};

/// Spawns this program `plugins` times as a plugin that attaches and waits for a message.
[[nodiscard]] IdleMemory measure_idle_memory(unsigned plugins);

/// What such a process does: call it first in `main`; true when this process was one.
[[nodiscard]] bool has_been_idle_process(std::string_view first_argument);

}  // namespace mews::bench
