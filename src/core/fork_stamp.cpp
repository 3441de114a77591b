// SPDX-License-Identifier: MIT
#include "mews/detail/fork_stamp.hpp"

#include <pthread.h>

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

/// Forks between the first `ForkStamp` of all and this process.
constinit std::atomic<unsigned> fork_count{0};

}  // namespace

ForkStamp::ForkStamp() noexcept : count_(&fork_count) {
  // Fails only without memory, and then a child's copies end as they would without this.
  [[maybe_unused]] static const int is_counted = ::pthread_atfork(
      nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });
  forks_ = fork_count.load(std::memory_order_relaxed);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
