// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <mutex>

#include "mews/base/atomic.hpp"
#include "mews/base/deadline.hpp"
#include "mews/sync/lock.hpp"

namespace mews::sync {

/// Lets many threads of one process wait for the same thing while only one of them, the lead,
/// sleeps where other processes can wake it. The rest sleep on a condition variable; the lead
/// passes each wake-up on, and the lead itself when it leaves.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// Waits until `attempt()` returns something true (an optional, say) and returns that, or its
  /// last, false, answer once the deadline has passed. `sleep(deadline)` is called by the lead
  /// alone, outside the lock, after a failed attempt: it must arm, look again, and sleep until
  /// rung or the deadline; what it saw matters not, as `attempt` follows. Any number of threads.
  template <class Attempt, class Sleep>
  auto wait(Deadline deadline, Attempt&& attempt, Sleep&& sleep) -> decltype(attempt()) {
    // seq_cst, before the attempt: its partner is the look in `notify`, after the change.
    waiters_.fetch_add(1, std::memory_order_seq_cst);
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto seen = version_;
      lock.unlock();
      auto result = attempt();
      const bool is_over = static_cast<bool>(result) || deadline.has_passed();
      lock.lock();
      if (is_over) {
        // A wake-up that this thread was given and did not need goes to the next one.
        const auto before = waiters_.fetch_sub(1, std::memory_order_relaxed);
        if (before > 1 && (version_ != seen || !has_lead_)) pass_on();
        return result;
      }
      if (version_ != seen) continue;
      if (has_lead_) {
        wait_for_version(lock, seen, deadline);
      } else {
        has_lead_ = true;
        lock.unlock();
        sleep(deadline);
        lock.lock();
        has_lead_ = false;
        pass_on();
      }
    }
  }

  /// Something has changed in this process (by a seq_cst exchange): waiters look again, without
  /// the lead's help. Costs one load when nobody waits.
  void notify() {
    // seq_cst, after the change: either a waiter's attempt sees it, or we see the waiter.
    if (waiters_.load(std::memory_order_seq_cst) == 0) return;
    const std::lock_guard lock(mutex_);
    pass_on();
  }

 private:
  void pass_on() {
    ++version_;
    condition_.notify_all();
  }
  void wait_for_version(std::unique_lock<Mutex>& lock, std::uint64_t seen, Deadline deadline) {
    const auto has_changed = [&] { return version_ != seen || !has_lead_; };
    if (deadline.is_forever()) {
      condition_.wait(lock, has_changed);
    } else {
      condition_.wait_until(lock, deadline.at(), has_changed);
    }
  }

  Mutex mutex_;
  CondVar condition_;
  std::uint64_t version_ = 0;
  base::LocalAtomic<std::uint32_t> waiters_{0};
  bool has_lead_ = false;
};

}  // namespace mews::sync
