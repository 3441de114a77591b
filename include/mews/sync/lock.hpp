// SPDX-License-Identifier: MIT
#pragma once

#include <climits>
#include <condition_variable>
#include <mutex>

#include "mews/deadline.hpp"

/// The mutex and the condition variable by which threads of one process wait for each other. In an
/// ordinary build they *are* the standard's.
namespace mews::inline MEWS_LAYOUT::sync {

#if defined(MEWS_STEPPED)

/// Stands in for the locks of a process in the model checker; null means the real ones.
struct LockModel {
  virtual void lock(const void* mutex) = 0;
  virtual void unlock(const void* mutex) = 0;
  /// Sleeps until `wake` or the deadline; returns false at the deadline. May return early.
  virtual bool sleep(const void* condition, Deadline deadline) = 0;
  virtual void wake(const void* condition, int sleepers) = 0;

 protected:
  ~LockModel() = default;
};
inline LockModel* lock_model = nullptr;

class Mutex {
 public:
  void lock() {
    if (lock_model != nullptr) return lock_model->lock(this);
    mutex_.lock();
  }
  void unlock() {
    if (lock_model != nullptr) return lock_model->unlock(this);
    mutex_.unlock();
  }

 private:
  std::mutex mutex_;
};

class CondVar {
 public:
  template <class Predicate>
  void wait(std::unique_lock<Mutex>& lock, Predicate&& is_over) {
    wait_until(lock, Deadline(forever).at(), is_over);
  }
  template <class Predicate>
  void wait_until(std::unique_lock<Mutex>& lock, Deadline::Clock::time_point at,
                  Predicate&& is_over) {
    if (lock_model == nullptr) {
      (void)condition_.wait_until(lock, at, is_over);
      return;
    }
    for (bool is_in_time = true; is_in_time && !is_over();) {
      lock.unlock();
      is_in_time = lock_model->sleep(this, at);
      lock.lock();
    }
  }
  void notify_all() {
    if (lock_model != nullptr) return lock_model->wake(this, INT_MAX);
    condition_.notify_all();
  }
  void notify_one() {
    if (lock_model != nullptr) return lock_model->wake(this, 1);
    condition_.notify_one();
  }

 private:
  std::condition_variable_any condition_;
};

#else

using Mutex = std::mutex;
using CondVar = std::condition_variable;

#endif

}  // namespace mews::inline MEWS_LAYOUT::sync
