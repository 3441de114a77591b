// SPDX-License-Identifier: MIT
#pragma once

#include <limits>

#include "model/execution.hpp"

/// A mutex and a condition variable for the threads of a scenario, to be put into templates that
/// take the standard's. Neither wakes for no reason, and no deadline passes.
namespace mews::model {

class Mutex {
 public:
  void lock() {
    auto* execution = Execution::current();
    execution->before(Op::lock, this);
    while (is_locked_)
      execution->park(this);
    is_locked_ = true;
  }
  // Not a step: whoever waits for the lock can only go on at a later one.
  void unlock() {
    is_locked_ = false;
    Execution::current()->unpark(this, 1);
  }

 private:
  bool is_locked_ = false;
};

class CondVar {
 public:
  template <class Lock, class Predicate>
  void wait(Lock& lock, Predicate&& is_over) {
    while (!is_over()) {
      lock.unlock();
      Execution::current()->park(this);
      lock.lock();
    }
  }
  template <class Lock, class TimePoint, class Predicate>
  void wait_until(Lock& lock, const TimePoint&, Predicate&& is_over) {
    wait(lock, is_over);
  }
  void notify_all() { Execution::current()->unpark(this, std::numeric_limits<int>::max()); }
};

}  // namespace mews::model
