// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "child_steps.hpp"
#include "mews/error.hpp"
#include "mews/os/spawn.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Memory for a child to run in until it executes its program; one child at a time.
class ChildStack {
 public:
  ChildStack() noexcept;
  ChildStack(const ChildStack&) = delete;
  ChildStack& operator=(const ChildStack&) = delete;
  ~ChildStack();
  /// Returns its upper end; null when there was no memory.
  [[nodiscard]] void* top() const noexcept;

 private:
  void* begin_;
};

/// One start of a program: prepared, run, and if need be given up. Everything for the child is made
/// before it begins.
class Start {
 public:
  /// Returns those errors of `spawn` that are known beforehand.
  [[nodiscard]] static Result<std::unique_ptr<Start>> prepare(SpawnOptions options);
  Start(const Start&) = delete;
  Start& operator=(const Start&) = delete;

  /// Makes the child, and returns when it executes its program or has ended. The calling thread
  /// must have all signals blocked, and stays the child's parent. Once.
  void run(ChildStack& stack) noexcept;
  /// After `run`, on the same thread: returns the child, or the reason why there is none.
  [[nodiscard]] Result<Child> finish();

  /// Ends a child that has not executed its program yet, or not even begun. Any thread, until
  /// `finish` begins.
  void give_up() noexcept;
  /// Returns the child's present step, as "working directory /x". Any thread.
  [[nodiscard]] std::string step_text() const;
  [[nodiscard]] const std::string& program() const noexcept { return options_.arguments[0]; }

 private:
  explicit Start(SpawnOptions options) : options_(std::move(options)) {}
  void plan();
  [[nodiscard]] Result<Child> failed(int failure, const std::string& what) const;

  SpawnOptions options_;
  std::vector<std::string> variables_;
  std::vector<std::string> programs_;
  std::vector<char*> argument_pointers_;
  std::vector<char*> variable_pointers_;
  std::vector<const char*> program_pointers_;
  ChildPlan plan_;
  pid_t pid_ = -1;
  int clone_failure_ = 0;
  // Written by the kernel before the child begins; read through __atomic builtins. seq_cst;
  // partner: `ChildPlan::is_given_up`.
  int pidfd_ = -1;
};

}  // namespace mews::inline MEWS_LAYOUT::os
