// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "mews/base/visible.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Remembers the process that made an object. A forked child has a copy of each of its parent's
/// objects. It does not have the arena, and it shares the descriptors with its parent: in the
/// child, the destructor of such a copy must touch nothing. A check costs two loads, because each
/// message makes one.
///
/// word     writer                  readers  publish / observe  protects
/// *count_  a child, in its atfork  all      relaxed / relaxed  nothing: a number
///          handler
class ForkStamp {
 public:
  MEWS_VISIBLE ForkStamp() noexcept;

  /// Returns whether this process made the object.
  [[nodiscard]] bool is_this_process() const noexcept {
    // Relaxed: the only writer in this process was its atfork handler, before any other code ran.
    return forks_ == count_->load(std::memory_order_relaxed);
  }

 private:
  /// The library's count of forks. A pointer, because a program that uses the shared library would
  /// have its own copy of a variable.
  const std::atomic<unsigned>* count_;
  unsigned forks_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
