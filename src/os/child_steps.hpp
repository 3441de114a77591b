// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "mews/os/spawn.hpp"

/// The steps of a child between its beginning and its program. It runs in its parent's memory,
/// while the thread that made it is suspended: it may only make system calls, and allocate nothing.
namespace mews::inline MEWS_LAYOUT::os {

enum class ChildStep : int {
  none,
  group,
  nice,
  working_directory,
  standard_stream,
  close_others,
  keep_descriptor,
  limit,
  parent_death_signal,
  signals,
  execute,
};

/// The child's orders, as plain pointers to objects that outlive it, and its own reports.
///
/// word         writer      readers     publish / observe                protects
/// is_given_up  the parent  the child   seq_cst, before `Start::pidfd_`  nothing: says "end"
/// step, index  the child   any thread  relaxed                          nothing: for a text
/// failure      the child   the parent  the end of clone(2)              itself
struct ChildPlan {
  const char* const* programs = nullptr;  ///< paths to try in turn; a null pointer ends them
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const char* working_directory = nullptr;  ///< null: stays
  int standard_fds[3] = {-1, -1, -1};
  const int* kept_fds = nullptr;
  std::size_t kept_count = 0;
  const ChildLimit* limits = nullptr;
  std::size_t limit_count = 0;
  ChildGroup group = ChildGroup::inherited;
  bool has_nice = false;
  int nice = 0;
  int parent_death_signal = 0;
  pid_t parent = -1;

  // Through __atomic builtins: `std::atomic` may be a call into a sanitizer's library.
  int is_given_up = 0;    ///< set by the parent: the child ends before its first step
  int step = 0;           ///< the child's present ChildStep
  std::size_t index = 0;  ///< of the descriptor or limit in that step
  int failure = 0;        ///< errno of that step; then the child ends
};

/// The child's main function, for clone(2) with CLONE_VM and CLONE_VFORK. Takes a `ChildPlan`.
int run_child(void* plan);

}  // namespace mews::inline MEWS_LAYOUT::os
