// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/words.hpp"

/// A deterministic, stateless model checker for the real code.
///
/// A *scenario* is a fresh state, a few threads, and claims for the end. The checker runs it again
/// and again, each time under another schedule, until every schedule with up to a bound of
/// preemptions has been run: depth first, each run replaying the decisions of the one before up to
/// the last that can still change. Iterative context bounding as in CHESS:
/// M. Musuvathi, S. Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded
/// Programs", PLDI 2007.
///
/// A thread can be preempted before each announced operation on a word (base/atomic.hpp), before
/// each futex call, lock, and `point`. A switch away from a thread that sleeps, has ended or was
/// killed costs no preemption. At each step that another process could see the process of the
/// running thread may be killed instead: its threads never run again.
///
/// Covered: interleavings, with every operation sequentially consistent; or, where a scenario asks
/// for it, with a store buffer per thread as x86 has (P. Sewell et al., "x86-TSO",
/// CACM 53(7), 2010). Not covered: weaker orders (ThreadSanitizer and reasons in the code stand for
/// those), and more preemptions than the bound.
namespace mews::model {

/// A thread of a scenario.
struct Thread {
  std::string name;  ///< without blanks, ':', '!' or '~': schedules are written with it
  int process = 0;
  std::function<void()> body;
  bool may_crash = false;
  /// Runs only once that process has died, or has ended: an exit is a death too.
  int recovers = -1;
  bool stays = false;  ///< its end is not the end of its process
};

class Scenario {
 public:
  virtual ~Scenario() = default;
  /// Makes a fresh state. Not a part of the schedule, and neither is `verify`.
  virtual void reset() = 0;
  /// Runs when no thread is left to run: checks the claims with `expect`.
  virtual void verify() = 0;

  [[nodiscard]] const std::vector<Thread>& threads() const noexcept { return threads_; }
  [[nodiscard]] const Words& words() const noexcept { return words_; }

 protected:
  std::vector<Thread> threads_;
  Words words_;
};

enum class Memory : std::uint8_t {
  sequential,      ///< each store is seen by all at once
  buffered,        ///< a store may wait until a fence or locked operation of its own thread
  buffered_heavy,  ///< as buffered; and there is the asymmetric fence, as with membarrier
};

struct Bounds {
  int preemptions = 2;
  int most_preemptions = 3;  ///< of the long run
  int crashes = 0;
  Memory memory = Memory::sequential;
};

struct Report {
  bool is_ok = true;
  std::string violation;                 ///< one sentence
  std::string schedule;                  ///< for `replay`
  std::string trace;                     ///< one step per line
  std::vector<std::uint64_t> schedules;  ///< run, per bound 0, 1, ...
  std::size_t depth = 0;                 ///< decisions of the longest run
  [[nodiscard]] std::string summary() const;
};

/// Runs all schedules within `bounds`, fewest preemptions first, until one violates something.
[[nodiscard]] Report explore(Scenario& scenario, const Bounds& bounds);

/// Runs one schedule, written as `thread:steps`, `thread!` (its process is killed) and `thread~`
/// (its oldest buffered store lands), with blanks between; after its end no thread is preempted.
[[nodiscard]] Report replay(Scenario& scenario, const Bounds& bounds, const std::string& schedule);

/// For threads and `verify`: a claim. The run ends where it is false.
void expect(bool condition, const char* sentence);

/// For threads: a step that shared words do not show, at which a thread may be preempted or killed.
void point(const char* what);

/// For a thread that stands for the clock: the deadlines of all threads pass, now and not before.
void pass_deadlines();

/// For a thread that stands for chance: all sleepers wake for no reason.
void wake_for_no_reason();

/// For `reset`: the rest of it runs as that thread.
void act_as(int thread);

/// Returns whether that process was killed in this run, or has ended and must be recovered.
[[nodiscard]] bool is_dead(int process);

}  // namespace mews::model
