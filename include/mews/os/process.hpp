// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mews/base/deadline.hpp"
#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

/// Other processes: watch, start, stop.
namespace mews::os {

/// A descriptor that becomes readable when the process is gone (a zombie is; a stopped process is
/// not; who else holds its descriptors does not matter). `os_error` with ESRCH: no such process.
[[nodiscard]] Result<UniqueFd> open_pidfd(pid_t pid);

/// /proc/`pid`/stat field 22: with the pid it names one process for as long as the system runs.
/// Nothing when there is no such process.
[[nodiscard]] std::optional<std::uint64_t> process_start_time(pid_t pid);

/// How a child ended.
struct ExitStatus {
  bool is_signal = false;  ///< killed by a signal, otherwise it exited
  int number = 0;          ///< the signal or the exit code
  /// "exit code 3", "signal 9 (Killed)"
  [[nodiscard]] std::string describe() const;
};

/// Takes the exit status of the child behind `pidfd` and lets the system forget it. Nothing when
/// it still runs or is not (any more) a child of this process. Never blocks.
[[nodiscard]] std::optional<ExitStatus> reap(int pidfd) noexcept;

/// Waits until the process behind `pidfd`, which must be open, is gone; false when the deadline
/// passes first.
bool wait_for_exit(int pidfd, Deadline deadline) noexcept;

/// Sends a signal to exactly the process behind `pidfd`, never to a later one with its number.
[[nodiscard]] Result<void> send_signal(int pidfd, int signal_number);

struct SpawnOptions {
  std::vector<std::string> arguments;    ///< [0] is the program, looked up in PATH without a slash
  std::vector<std::string> environment;  ///< "NAME=value" to add to or replace in `base`
  /// Open descriptors that keep their numbers in the child. Every other one that is close-on-exec
  /// (all that mews makes are) closes; those the application left inheritable are its own business.
  std::vector<int> inherited_fds;
  /// An environment that was read earlier; by default this process's as it is now.
  std::optional<std::vector<std::string>> base_environment = {};
};

/// This process's environment, "NAME=value" each. No thread may change it meanwhile.
[[nodiscard]] std::vector<std::string> environment();

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
};

/// Starts a program. `spawn_failed` with errno and path when it cannot be executed; then there is
/// no child. `invalid_argument` for an empty program, a closed descriptor or a variable without
/// '='. Signal mask and dispositions of the child are the defaults. Any thread; without
/// `base_environment` as long as none changes the environment meanwhile. Blocks until the child has
/// begun to execute the program.
[[nodiscard]] Result<Child> spawn(const SpawnOptions& options);

/// What a process has of a file.
enum class FileUse : std::uint8_t {
  mapped,
  not_mapped,
  no_memory,  ///< the process is ending, and has no memory any more
  unknown,    ///< the system does not tell
};

/// Whether process `pid` has a mapping of what the open descriptor `fd` names. May wait for that
/// process while it maps or unmaps.
[[nodiscard]] FileUse use_of_file(pid_t pid, int fd);

}  // namespace mews::os
