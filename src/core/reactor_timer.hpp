// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "mews/os/unique_fd.hpp"
#include "reactor.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Calls a function once, after a delay, through a reactor. Not thread-safe by itself. `clear` does
/// not stop a handler that has begun.
class ReactorTimer {
 public:
  /// Replaces an earlier setting. On an error nothing is set.
  [[nodiscard]] Result<void> set(Reactor& reactor, std::chrono::nanoseconds delay,
                                 std::function<void()> handler);
  void clear(Reactor& reactor) noexcept;
  [[nodiscard]] bool is_set() const noexcept { return static_cast<bool>(timer_); }

 private:
  os::UniqueFd timer_;
  std::uint64_t id_ = 0;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
