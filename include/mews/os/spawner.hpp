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
/// start. A start can be stuck (a file system that does not answer, a debugger); another thread is
/// then made for the next one, and what is stuck is given up at its deadline. Any thread may call
/// any function, but those of the end.
class Spawner {
 public:
  /// Gets the child, or why there is none. Called once, by a thread of the spawner's, or by whoever
  /// gives the start up.
  using Done = std::function<void(Result<Child>)>;
  /// A start that was submitted.
  class Job;

  Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;
  /// Gives up what is under way and waits for the threads; one that the kernel does not let go of
  /// within five seconds is left behind.
  ~Spawner();

  /// As `os::spawn`, but blocks until the deadline at the latest. `timed_out` says what the child
  /// was at; it is killed then. `os_error` when there can be no thread.
  [[nodiscard]] Result<Child> start(SpawnOptions options, Deadline deadline);

  /// The same without blocking. On an error `done` is not called. Somebody must call `mind`.
  [[nodiscard]] Result<std::shared_ptr<Job>> submit(SpawnOptions options, Deadline deadline,
                                                    Done done);

  /// Looks after what is under way: makes another thread for what waits behind a stuck start, and
  /// gives up what is past its deadline. When to call it again; for ever when nothing is under way.
  /// Never blocks, but for `done`.
  Deadline mind();

  /// Ends a start that is under way, with `why`. Nothing when it is over.
  void give_up(const std::shared_ptr<Job>& job, const Error& why);
  /// Ends all that are under way, and those that are submitted later, with `why`.
  void stop(const Error& why);

 private:
  struct State;
  // Shared with the threads: one that is stuck may outlive this object.
  std::shared_ptr<State> state_;
};

}  // namespace mews::inline MEWS_LAYOUT::os
