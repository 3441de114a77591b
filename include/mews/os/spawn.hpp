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

/// Which process group a child belongs to: signals from a terminal go to a whole group.
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
  /// An environment that was read earlier; by default this process's as it is now.
  std::optional<std::vector<std::string>> base_environment = {};
  /// Where to look for the program, as PATH has it; by default this process's PATH as it is now.
  std::optional<std::string> search_path = {};
  std::string working_directory = {};  ///< empty: this process's
  /// What becomes the child's standard input, output and error; -1: what this process has there.
  /// Numbers of 3 and more.
  std::array<int, 3> standard_fds{-1, -1, -1};
  ChildGroup group = ChildGroup::inherited;
  std::vector<ChildLimit> limits = {};
  std::optional<int> nice = {};
  /// Sent by the kernel when the thread that started the child ends; 0: none.
  int parent_death_signal = 0;
};

/// This process's environment, "NAME=value" each. No thread may change it meanwhile.
[[nodiscard]] std::vector<std::string> environment();
/// Where programs are looked up: PATH in this process's environment, or the system's default.
[[nodiscard]] std::string search_path();

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
};

/// Starts a program. `spawn_failed` with errno and what failed (the path when it cannot be
/// executed, otherwise the step, as "working directory /x"); then there is no child.
/// `invalid_argument` for an empty program, a closed descriptor or a variable without '='. Signal
/// mask and dispositions of the child are the defaults. A relative program is looked up from
/// the child's working directory. Any thread; without `base_environment` as long as none changes
/// the environment meanwhile. Blocks until the child has begun to execute the program, however long
/// that is; `Spawner` has a deadline.
[[nodiscard]] Result<Child> spawn(SpawnOptions options);

}  // namespace mews::inline MEWS_LAYOUT::os
