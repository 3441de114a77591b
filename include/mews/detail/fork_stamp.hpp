// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "mews/base/visible.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Remembers the process that made an object. A forked child has a copy of each of its parent's
/// objects but not the arena, and the descriptors behind them are the parent's as well: there, the
/// end of such a copy must touch nothing. Costs two loads to ask, as it is asked with each message.
class ForkStamp {
 public:
  MEWS_VISIBLE ForkStamp() noexcept;

  /// Relaxed: written in a child before any code of the child's runs.
  [[nodiscard]] bool is_this_process() const noexcept {
    return forks_ == count_->load(std::memory_order_relaxed);
  }

 private:
  /// The library's count of forks, reached by a pointer: a program that uses a shared library would
  /// have a copy of a variable.
  const std::atomic<unsigned>* count_;
  unsigned forks_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
