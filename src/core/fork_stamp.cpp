// SPDX-License-Identifier: MIT
#include "mews/detail/fork_stamp.hpp"

#include <pthread.h>

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

/// Counts the forks between the first `ForkStamp` and this process. Table: `ForkStamp`.
constinit std::atomic<unsigned> fork_count{0};

}  // namespace

ForkStamp::ForkStamp() noexcept : count_(&fork_count) {
  // Fails only without memory: then no fork is counted, and a child takes itself for its parent.
  // Relaxed: the child has one thread when its handler runs.
  [[maybe_unused]] static const int is_counted = ::pthread_atfork(
      nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });
  // Relaxed: the only writer in this process was its atfork handler, before any other code ran.
  forks_ = fork_count.load(std::memory_order_relaxed);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
