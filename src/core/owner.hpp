// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>

#include <atomic>

namespace mews::detail {

/// Counts the forks between the first `Owner` of all and this process.
inline constinit std::atomic<unsigned> fork_count{0};

/// Remembers the process that made an object. A forked child has a copy of each of its parent's
/// objects but not the arena, and the descriptors behind them are the parent's as well: there, the
/// end of such a copy must touch nothing. Costs a load to ask, as it is asked with each slab.
class Owner {
 public:
  Owner() noexcept : forks_((counts_forks(), forks())) {}

  /// Relaxed: written in a child before any code of the child's runs.
  [[nodiscard]] bool is_this_process() const noexcept { return forks_ == forks(); }

 private:
  static unsigned forks() noexcept { return fork_count.load(std::memory_order_relaxed); }
  static void counts_forks() noexcept {
    // Fails only without memory, and then a child's copies end as they would without this.
    [[maybe_unused]] static const int is_set = ::pthread_atfork(
        nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });
  }

  unsigned forks_;
};

}  // namespace mews::detail
