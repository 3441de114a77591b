// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "mews/base/visible.hpp"

namespace mews::detail {

/// Counts the forks between the first `ForkStamp` of all and this process. In the library alone, as
/// a program and a shared library must have the same one.
MEWS_VISIBLE extern constinit std::atomic<unsigned> fork_count;

/// Remembers the process that made an object. A forked child has a copy of each of its parent's
/// objects but not the arena, and the descriptors behind them are the parent's as well: there, the
/// end of such a copy must touch nothing. Costs a load to ask, as it is asked with each message.
class MEWS_VISIBLE ForkStamp {
 public:
  ForkStamp() noexcept;

  /// Relaxed: written in a child before any code of the child's runs.
  [[nodiscard]] bool is_this_process() const noexcept {
    return forks_ == fork_count.load(std::memory_order_relaxed);
  }

 private:
  unsigned forks_;
};

}  // namespace mews::detail
