// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>

#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/os/spawn.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Starts programs on a thread of its own, which lives as long as this object: the kernel's
/// parent-death signal goes by the thread that made a child. The thread is made with the first
/// start. A start can be stuck (a file system that does not answer, a debugger); then the next
/// start gets another thread, and the stuck one is given up at its deadline. Any thread may call
/// any function but the destructor.
class Spawner {
 public:
  /// Receives the child, or the reason why there is none. Called once, by a thread of the spawner,
  /// or by the thread that gives the start up.
  using Done = std::function<void(Result<Child>)>;
  /// A start that was submitted.
  class Job;

  Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;
  /// Gives up all starts that are under way and waits for the threads. A thread that the kernel
  /// does not release within five seconds is left behind.
  ~Spawner();

  /// As `os::spawn`, but blocks until the deadline at the latest. `timed_out` names the child's
  /// last step; it is killed then. `os_error` when no thread can be made.
  [[nodiscard]] Result<Child> start(SpawnOptions options, Deadline deadline);

  /// The same without blocking. On an error `done` is not called. The program must call `mind`.
  [[nodiscard]] Result<std::shared_ptr<Job>> submit(SpawnOptions options, Deadline deadline,
                                                    Done done);

  /// Looks after the starts that are under way: makes another thread for those that wait behind a
  /// stuck one, and gives up those past their deadlines. Returns when to call it again; for ever
  /// when nothing is under way. Never blocks, but for `done`.
  Deadline mind();

  /// Ends a start that is under way, with `why`. Does nothing when it is over.
  void give_up(const std::shared_ptr<Job>& job, const Error& why);
  /// Ends all starts that are under way, and those submitted later, with `why`.
  void stop(const Error& why);

 private:
  struct State;
  // Shared with the threads: a stuck one may outlive this object.
  std::shared_ptr<State> state_;
};

}  // namespace mews::inline MEWS_LAYOUT::os
