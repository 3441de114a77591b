// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <mutex>

#include "mews/base/atomic.hpp"
#include "mews/deadline.hpp"
#include "mews/sync/lock.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

/// Threads of one process that wait for different things from one source, as for the replies to
/// their calls. One of them, the lead, draws from the source, for all: it tells each of the others
/// when its own has come. When the lead has its own, it leaves, and another waiter leads.
///
/// Where `Gate` wakes all waiters, this wakes the one that is meant. Each waits for a *key*, the
/// address of what it waits for.
///
/// word       writer       readers     publish / observe  protects
/// has_lead_  each thread  each        [L2] / [L1]        what only the lead touches
/// waiters_   each waiter  lead, any   [L3] / [L4] [L5]   nothing: says "look for a waiter"
/// lead_key_  the lead     any thread  [L6] / [L7]        nothing: says "interrupt the lead"
///
/// A waiter counts itself [L3], then looks once more, at what it waits for and whether there is a
/// lead. Who changes either looks for waiters afterwards ([L4], [L5]). At least one of the two sees
/// the other's write. Likewise the lead, of what any thread can bring about: it names its key [L6],
/// then looks; who changes that asks for the key afterwards [L7].
class Lead {
 public:
  Lead() = default;
  Lead(const Lead&) = delete;
  Lead& operator=(const Lead&) = delete;

  /// What a thread waits for.
  struct Wanted {
    const void* key;
    bool is_open = false;  ///< any thread may bring it about, and not the lead alone
  };

  /// Returns whether the calling thread is the lead, until `leave`. Never blocks.
  [[nodiscard]] bool try_take() noexcept {
    bool has_lead = false;
    // [L1] acquire: what the last lead did; partner [L2]. seq_cst, both: after [L3].
    return !has_lead_.load(std::memory_order_seq_cst) &&
           has_lead_.compare_exchange_strong(has_lead, true, std::memory_order_seq_cst,
                                             std::memory_order_relaxed);
  }
  void leave() {
    // [L2] release: what this lead did; partner [L1]. seq_cst: before [L4].
    has_lead_.store(false, std::memory_order_seq_cst);
    // [L4] seq_cst: after [L2]; partner [L3].
    if (waiters_.load(std::memory_order_seq_cst) == 0) return;
    const std::lock_guard lock(mutex_);
    offer();
  }

  /// The lead's time, for one that has taken it.
  class Leaving {
   public:
    explicit Leaving(Lead& lead) noexcept : lead_(lead) {}
    Leaving(const Leaving&) = delete;
    Leaving& operator=(const Leaving&) = delete;
    ~Leaving() { lead_.leave(); }

   private:
    Lead& lead_;
  };

  /// Returns once `is_done()` is true, or the deadline has passed, or `is_over()` says so, or
  /// `draw()` is false; the caller finds out which. `draw` is called by the lead alone and without
  /// a lock: it blocks until it has drawn something, and returns whether to go on. `is_done` is
  /// called with the lock or without.
  template <class IsDone, class IsOver, class Draw>
  void wait(Wanted wanted, Deadline deadline, IsDone&& is_done, IsOver&& is_over, Draw&& draw) {
    if (is_done()) return;
    if (!try_take() && !follow(wanted.key, deadline, is_done, is_over)) return;
    const Leaving leaving(*this);
    // [L6] seq_cst: before `is_done`; partner [L7].
    if (wanted.is_open) lead_key_.store(wanted.key, std::memory_order_seq_cst);
    while (!is_done() && draw()) {
    }
    // Relaxed: to be asked for too long costs an interruption.
    if (wanted.is_open) lead_key_.store(nullptr, std::memory_order_relaxed);
  }

  /// After a seq_cst change that may end the waits for `key`: these threads look again. Returns
  /// true when the lead is one of them, which the caller must interrupt. Costs two loads when
  /// nobody waits.
  [[nodiscard]] bool tell(const void* key) {
    // [L5] seq_cst: after the change; partner [L3].
    if (waiters_.load(std::memory_order_seq_cst) != 0) {
      const std::lock_guard lock(mutex_);
      for (auto* waiter = first_; waiter != nullptr; waiter = waiter->next)
        if (waiter->key == key) wake(*waiter);
    }
    // [L7] seq_cst: after the change; partner [L6].
    return lead_key_.load(std::memory_order_seq_cst) == key;
  }
  /// All waiters but the lead look again.
  void tell_all() {
    const std::lock_guard lock(mutex_);
    for (auto* waiter = first_; waiter != nullptr; waiter = waiter->next)
      wake(*waiter);
  }

 private:
  struct Waiter {
    const void* key;
    bool is_told = false;
    Waiter* previous = nullptr;
    Waiter* next = nullptr;
    CondVar condition{};
  };

  /// A waiter's place in the list. Mutex held in both.
  class Listed {
   public:
    Listed(Lead& lead, Waiter& waiter) noexcept : lead_(lead), waiter_(waiter) {
      waiter.previous = lead.last_;
      (lead.last_ != nullptr ? lead.last_->next : lead.first_) = &waiter;
      lead.last_ = &waiter;
      // [L3] seq_cst: before this thread looks; partners [L4], [L5].
      lead.waiters_.fetch_add(1, std::memory_order_seq_cst);
    }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;
    ~Listed() {
      (waiter_.previous != nullptr ? waiter_.previous->next : lead_.first_) = waiter_.next;
      (waiter_.next != nullptr ? waiter_.next->previous : lead_.last_) = waiter_.previous;
      // Relaxed: a thread that is counted too long costs a lock.
      lead_.waiters_.fetch_sub(1, std::memory_order_relaxed);
      // It may have been offered the lead, and does not want it.
      if (!lead_.has_lead_.load(std::memory_order_seq_cst)) lead_.offer();
    }

   private:
    Lead& lead_;
    Waiter& waiter_;
  };

  /// Waits until this thread is the lead. False: its wait is over.
  template <class IsDone, class IsOver>
  bool follow(const void* key, Deadline deadline, IsDone& is_done, IsOver& is_over) {
    Waiter waiter{.key = key};
    std::unique_lock lock(mutex_);
    const Listed listed(*this, waiter);
    for (;;) {
      if (is_done()) return false;
      if (try_take()) return true;
      if (is_over() || deadline.has_passed()) return false;
      const auto is_told = [&waiter] { return waiter.is_told; };
      if (deadline.is_forever()) {
        waiter.condition.wait(lock, is_told);
      } else {
        waiter.condition.wait_until(lock, deadline.at(), is_told);
      }
      waiter.is_told = false;
    }
  }

  // Mutex held.
  static void wake(Waiter& waiter) {
    waiter.is_told = true;
    waiter.condition.notify_one();
  }
  void offer() {
    if (first_ != nullptr) wake(*first_);
  }

  base::LocalAtomic<bool> has_lead_{false};
  base::LocalAtomic<std::uint32_t> waiters_{0};
  base::LocalAtomic<const void*> lead_key_{nullptr};
  Mutex mutex_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

}  // namespace mews::inline MEWS_LAYOUT::sync
