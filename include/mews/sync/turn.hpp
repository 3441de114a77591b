// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <mutex>

#include "mews/base/atomic.hpp"
#include "mews/deadline.hpp"
#include "mews/sync/lock.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

/// How a wait for one's turn ended.
enum class Turned : std::uint8_t {
  entered,    ///< it is this thread's turn, until `leave`
  late,       ///< the deadline passed first
  cancelled,  ///< the caller's `is_cancelled` said so
};

/// Threads of one process take turns. A mutex whose wait has a deadline, and can be cancelled after
/// an `interrupt`.
///
/// word    writer       readers     publish / observe           protects
/// state_  each thread  all others  [T2] release / [T1] acquire  what is done in turn
///
/// 0: nobody's turn; 1: a thread's; 2: a thread's, and others may be asleep. A turn that no other
/// thread waits for costs two locked operations and no lock. As the mutex of U. Drepper, "Futexes
/// Are Tricky" (2011), but that the sleep is a condition variable's.
class Turn {
 public:
  Turn() = default;
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  /// Returns whether it is this thread's turn, until `leave`. Never blocks.
  [[nodiscard]] bool try_enter() {
    std::uint32_t nobodys = 0;
    // [T1] acquire: what the last thread did in its turn; partner [T2]. ABA: 0 always means the
    // same.
    return state_.compare_exchange_strong(nobodys, 1, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

  /// Blocks until it is this thread's turn, the deadline, or until `is_cancelled()`, which is asked
  /// whenever the thread is about to sleep.
  template <class IsCancelled>
  [[nodiscard]] Turned enter(Deadline deadline, IsCancelled&& is_cancelled) {
    if (try_enter()) return Turned::entered;
    std::unique_lock lock(mutex_);
    for (;;) {
      // [T1] acquire, as above. 2, so that the thread with the turn sees on leaving that others
      // wait.
      if (state_.exchange(2, std::memory_order_acquire) == 0) return Turned::entered;
      if (is_cancelled()) return Turned::cancelled;
      if (deadline.has_passed()) return Turned::late;
      wait(lock, deadline);
    }
  }

  void leave() {
    // [T2] release: what was done in this turn; partner [T1].
    if (state_.exchange(0, std::memory_order_release) != 2) return;
    // A thread that saw the turn occupied holds the lock until it sleeps.
    const std::lock_guard lock(mutex_);
    ++version_;
    // One: it gets the turn, or marks it with a 2 for the thread that got it first.
    condition_.notify_one();
  }

  /// All waiters look again, and ask whether they are cancelled.
  void interrupt() {
    const std::lock_guard lock(mutex_);
    ++version_;
    condition_.notify_all();
  }

 private:
  void wait(std::unique_lock<Mutex>& lock, Deadline deadline) {
    const auto has_changed = [this, seen = version_] { return version_ != seen; };
    if (deadline.is_forever()) {
      condition_.wait(lock, has_changed);
    } else {
      condition_.wait_until(lock, deadline.at(), has_changed);
    }
  }

  base::LocalAtomic<std::uint32_t> state_{0};
  Mutex mutex_;
  CondVar condition_;
  std::uint64_t version_ = 0;  ///< guarded by the mutex
};

}  // namespace mews::inline MEWS_LAYOUT::sync
