// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <mutex>

#include "mews/base/atomic.hpp"
#include "mews/deadline.hpp"
#include "mews/sync/lock.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

/// Lets many threads of one process wait for the same thing while only one of them, the lead,
/// sleeps where other processes can wake it. The rest sleep on a condition variable; the lead
/// passes each wake-up on, and the lead itself when it leaves.
///
/// word       writer       readers       publish / observe            protects
/// waiters_   each waiter  `notify`      [G1] then fence / [G2]       nothing: says "notify"
/// version_   any thread   each waiter   the mutex                    nothing: says "look again"
/// has_lead_  the lead     each waiter   the mutex                    the lead
///
/// The waiter: counts itself [G1], fences, attempts. The notifier: changes the attempt's word by a
/// seq_cst store or exchange, then looks for waiters [G2]. At least one of the two sees the other's
/// write.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// Waits until `attempt()` returns something true (an optional, say) and returns that, or its
  /// last, false, answer once the deadline has passed. `sleep(deadline)` is called by the lead
  /// alone, outside the lock, after a failed attempt: it must arm, look again, and sleep until a
  /// ring or the deadline. Its result does not matter, as `attempt` follows. Any number of threads.
  /// An exception of either callable ends this thread's wait and no other's.
  template <class Attempt, class Sleep>
  auto wait(Deadline deadline, Attempt&& attempt, Sleep&& sleep) -> decltype(attempt()) {
    Waiter waiter(*this);
    for (;;) {
      waiter.look();
      auto result = attempt();
      if (static_cast<bool>(result) || deadline.has_passed()) return result;
      std::unique_lock lock(mutex_);
      if (version_ != waiter.seen()) continue;
      if (has_lead_) {
        wait_for_version(lock, waiter.seen(), deadline);
      } else {
        const Lead lead(*this, lock);
        sleep(deadline);
      }
    }
  }

  /// After a change in this process (by a seq_cst store or exchange): waiters look again, without
  /// the lead's help. Costs one load when nobody waits.
  void notify() {
    if (has_waiters()) interrupt();
  }
  [[nodiscard]] bool has_waiters() const noexcept {
    // [G2] seq_cst, after the seq_cst change; partner [G1] with its fence.
    return waiters_.load(std::memory_order_seq_cst) != 0;
  }

  /// All waiters look again. The lead sleeps elsewhere, and the caller must wake it there.
  void interrupt() {
    const std::lock_guard lock(mutex_);
    pass_on();
  }

 private:
  /// One thread's wait, however it ends.
  class Waiter {
   public:
    explicit Waiter(Gate& gate) : gate_(gate) {
      // [G1] relaxed: the fence orders it before the first attempt, whose loads may be relaxed;
      // partner [G2]. Either the attempt sees the change, or `notify` sees this thread.
      gate_.waiters_.fetch_add(1, std::memory_order_relaxed);
      base::full_fence();
    }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter() {
      const std::lock_guard lock(gate_.mutex_);
      // Relaxed: a thread that is counted too long costs `notify` a lock.
      gate_.waiters_.fetch_sub(1, std::memory_order_relaxed);
      // A wake-up that this thread was given and did not need goes to the next one.
      if (gate_.version_ != seen_ || !gate_.has_lead_) gate_.pass_on();
    }
    /// Comes before an attempt, which may miss any change from now on.
    void look() {
      const std::lock_guard lock(gate_.mutex_);
      seen_ = gate_.version_;
    }
    [[nodiscard]] std::uint64_t seen() const noexcept { return seen_; }

   private:
    Gate& gate_;
    std::uint64_t seen_ = 0;
  };

  /// The lead's time outside the lock; the destructor passes the lead on.
  class Lead {
   public:
    Lead(Gate& gate, std::unique_lock<Mutex>& lock) : gate_(gate), lock_(lock) {
      gate_.has_lead_ = true;
      lock_.unlock();
    }
    Lead(const Lead&) = delete;
    Lead& operator=(const Lead&) = delete;
    ~Lead() {
      lock_.lock();
      gate_.has_lead_ = false;
      gate_.pass_on();
    }

   private:
    Gate& gate_;
    std::unique_lock<Mutex>& lock_;
  };

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

}  // namespace mews::inline MEWS_LAYOUT::sync
