// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mews/error.hpp"
#include "mews/os/process.hpp"

/// Starting programs.
namespace mews::inline MEWS_LAYOUT::os {

/// The process group of a child: signals from a terminal go to a whole group.
enum class ChildGroup : std::uint8_t { inherited, own_group, own_session };

/// As for setrlimit(2): `resource` is one of RLIMIT_*.
struct ChildLimit {
  int resource;
  std::uint64_t soft;
  std::uint64_t hard;
};

struct SpawnOptions {
  std::vector<std::string> arguments;    ///< [0] is the program, looked up in PATH without a slash
  std::vector<std::string> environment;  ///< "NAME=value" to add to or replace in `base`
  /// Open descriptors that keep their numbers in the child. Every other one above 2 is closed when
  /// the program begins.
  std::vector<int> inherited_fds;
  /// An environment that was read earlier; by default this process's present one.
  std::optional<std::vector<std::string>> base_environment = {};
  /// The folders to search for the program, in PATH's form; by default this process's present PATH.
  std::optional<std::string> search_path = {};
  std::string working_directory = {};  ///< empty: this process's
  /// The child's standard input, output and error: numbers of 3 and more; -1: this process's own.
  std::array<int, 3> standard_fds{-1, -1, -1};
  ChildGroup group = ChildGroup::inherited;
  std::vector<ChildLimit> limits = {};
  std::optional<int> nice = {};
  /// Signal that the kernel sends when the thread that started the child ends; 0: none.
  int parent_death_signal = 0;
};

/// Returns this process's environment, "NAME=value" each. No thread may change it meanwhile.
[[nodiscard]] std::vector<std::string> environment();
/// Returns the search path of programs: PATH of this process's environment, or the system's
/// default.
[[nodiscard]] std::string search_path();

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
};

/// Starts a program. `spawn_failed` with errno and the failed step (the path when it cannot be
/// executed, otherwise for example "working directory /x"); then there is no child.
/// `invalid_argument` for an empty program, a closed descriptor or a variable without '='. Signal
/// mask and dispositions of the child are the defaults. A relative program is looked up from
/// the child's working directory. Any thread; without `base_environment` only while no thread
/// changes the environment. Blocks until the child has begun to execute the program, however long
/// that is; `Spawner` has a deadline.
[[nodiscard]] Result<Child> spawn(SpawnOptions options);

}  // namespace mews::inline MEWS_LAYOUT::os
