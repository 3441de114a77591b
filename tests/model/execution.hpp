// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mews/base/atomic.hpp"
#include "mews/os/futex.hpp"
#include "mews/sync/lock.hpp"
#include "model/checker.hpp"
#include "model/contention.hpp"
#include "model/fiber.hpp"
#include "model/store_buffers.hpp"

namespace mews::model {

/// A local store or exchange is one that no other process sees.
enum class Op : std::uint8_t {
  start,
  load,
  store,
  exchange,
  local_store,
  local_exchange,
  fence,
  heavy_fence,
  wait,
  wake,
  lock,
  point,
};

/// One way on from a decision.
struct Option {
  enum class Kind : std::uint8_t { run, crash, drain };
  Kind kind = Kind::run;
  int thread = 0;
  friend bool operator==(const Option&, const Option&) = default;
};

/// Takes the decisions of one run.
class Chooser {
 public:
  virtual std::size_t choose(std::span<const Option> options) = 0;
  /// Returns whether it decides also where that makes no difference.
  [[nodiscard]] virtual bool takes_all_steps() const = 0;

 protected:
  ~Chooser() = default;
};

/// Runs a scenario under one schedule at a time. Only one object may exist: the hooks are global.
class Execution final : private os::FutexModel, private sync::LockModel {
 public:
  Execution(Scenario& scenario, const Bounds& bounds);
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  ~Execution();

  /// Runs it from a fresh state to its end. `trace`, where given, gets a line per step. Returns
  /// true when the run showed that earlier runs knew too few contended words.
  bool run(Chooser& chooser, int preemptions, std::string* trace);

  [[nodiscard]] const std::string& violation() const noexcept { return violation_; }
  [[nodiscard]] std::span<const Option> decisions() const noexcept { return decisions_; }

  /// The one that exists.
  [[nodiscard]] static Execution* current() noexcept { return current_execution_; }

  // For the code under test, by way of the hooks.
  void before(Op op, const volatile void* word, std::size_t bytes = 0, const char* what = nullptr);
  void fail(std::string sentence);
  void pass_deadlines();
  void wake_for_no_reason();
  [[nodiscard]] bool look_at_clock();
  [[nodiscard]] const void* token() const noexcept;
  void act_as(int thread) noexcept { acting_ = thread; }
  [[nodiscard]] bool is_dead(int process) const;
  [[nodiscard]] bool is_in_thread() const noexcept { return running_ >= 0; }

 private:
  enum class State : std::uint8_t { dormant, ready, parked, ended, dead };
  struct Slot {
    Fiber fiber;
    std::function<void()> body;
    State state = State::dormant;
    Op op = Op::start;
    const volatile void* word = nullptr;
    const void* parked_on = nullptr;
    bool has_deadline = false;
  };
  static constexpr std::size_t kMaxDecisions = 20'000;

  os::FutexWait wait(const base::Atomic<std::uint32_t>& word, std::uint32_t expected,
                     Deadline deadline) override;
  int wake(const base::Atomic<std::uint32_t>& word, int sleepers) override;
  void lock(const void* mutex) override;
  void unlock(const void* mutex) override;
  bool sleep(const void* condition, Deadline deadline) override;
  void wake(const void* condition, int sleepers) override;

  void park(const void* on, bool has_deadline);
  int unpark(const void* on, int count);

  void collect(bool may_preempt);
  void decide(bool may_preempt);
  [[nodiscard]] bool matters_to_others(Op op, const volatile void* word);
  [[nodiscard]] Option pick();
  void kill_process(int process);
  void note_death(int process);
  void end_of(int thread);
  void end_run();
  void note_step(Op op, const volatile void* word, std::size_t bytes, const char* what);
  void note(const std::string& line);

  static Execution* current_execution_;

  Scenario& scenario_;
  const Bounds bounds_;
  StoreBuffers buffers_;
  Contention contention_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Option> decisions_;
  std::array<Option, 32> options_{};
  std::size_t option_count_ = 0;
  Chooser* chooser_ = nullptr;
  std::string* trace_ = nullptr;
  std::string violation_;
  std::vector<int> dead_processes_;
  std::vector<const void*> locked_;
  bool is_late_ = false;  ///< the deadlines have passed
  int running_ = -1;
  int acting_ = 0;
  int next_ = -1;
  int preemptions_left_ = 0;
  int crashes_left_ = 0;
};

}  // namespace mews::model
