// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

/// Other processes: watch, signal, ask how they ended.
namespace mews::inline MEWS_LAYOUT::os {

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
/// it still runs, or a debugger must see the status first, or it is not (any more) a child of this
/// process. Never blocks.
[[nodiscard]] std::optional<ExitStatus> reap(int pidfd) noexcept;

/// Whether the process behind `pidfd` is a child of this one whose exit status is still to be had:
/// it runs, or a debugger that is attached to it has to see the status first. Never blocks.
[[nodiscard]] bool is_reapable(int pidfd) noexcept;

/// Waits until the process behind `pidfd`, which must be open, is gone; false when the deadline
/// passes first.
bool wait_for_exit(int pidfd, Deadline deadline) noexcept;

/// Waits until a child that has been killed, or is about to end by itself, is gone, and takes its
/// status. Blocks five seconds at most. One whose status cannot be had by then (the kernel has not
/// ended it, or a debugger must see the status first) is noted down, and asked again by each later
/// call, so that no zombie stays. True when it is gone.
bool bury(UniqueFd child);
/// As `bury` for a child that is known to be gone, without waiting.
void bury_later(UniqueFd child);

/// Sends a signal to exactly the process behind `pidfd`, never to a later one with its number.
[[nodiscard]] Result<void> send_signal(int pidfd, int signal_number);

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

}  // namespace mews::inline MEWS_LAYOUT::os
