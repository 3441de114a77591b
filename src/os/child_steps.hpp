// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "mews/os/spawn.hpp"

/// What a child does between its beginning and its program. It runs in its parent's memory, while
/// the thread that made it is suspended: it may call nothing but system calls, and allocate
/// nothing.
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

/// What the child is to do, as plain pointers to what outlives it, and what it says of itself.
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
  int step = 0;           ///< a ChildStep: what the child is at
  std::size_t index = 0;  ///< which descriptor or limit, in that step
  int failure = 0;        ///< errno of that step; then the child ends
};

/// The child's main function, for clone(2) with CLONE_VM and CLONE_VFORK. Takes a `ChildPlan`.
int run_child(void* plan);

}  // namespace mews::inline MEWS_LAYOUT::os
