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

/// Returns a descriptor that becomes readable when the process is gone (a zombie is; a stopped
/// process is not; other holders of its descriptors do not matter). `os_error` with ESRCH: no such
/// process.
[[nodiscard]] Result<UniqueFd> open_pidfd(pid_t pid);

/// Returns /proc/`pid`/stat field 22: with the pid it names one process for as long as the system
/// runs. Nothing when there is no such process.
[[nodiscard]] std::optional<std::uint64_t> process_start_time(pid_t pid);

/// How a child ended.
struct ExitStatus {
  bool is_signal = false;  ///< killed by a signal, otherwise it exited
  int number = 0;          ///< the signal or the exit code
  /// "exit code 3", "signal 9 (Killed)"
  [[nodiscard]] std::string describe() const;
};

/// Returns the exit status of the child behind `pidfd`, and the system forgets it. Nothing when the
/// child still runs, or a debugger must see the status first, or it is not (any more) a child of
/// this process. Never blocks.
[[nodiscard]] std::optional<ExitStatus> reap(int pidfd) noexcept;

/// Returns whether `reap` can still get an exit status of the process behind `pidfd` later: it is a
/// child of this process, and runs, or a debugger attached to it must see the status first. Never
/// blocks.
[[nodiscard]] bool is_reapable(int pidfd) noexcept;

/// Waits until the process behind `pidfd`, which must be open, is gone; returns false when the
/// deadline passes first.
bool wait_for_exit(int pidfd, Deadline deadline) noexcept;

/// Waits until a child that was killed, or is about to end by itself, is gone, and reaps it. Blocks
/// five seconds at most. A child that cannot be reaped by then (the kernel has not ended it, or a
/// debugger must see the status first) is noted, and each later call tries again, so that no zombie
/// stays. Returns true when it is gone.
bool bury(UniqueFd child);
/// As `bury`, for a child that is known to be gone, without waiting.
void bury_later(UniqueFd child);

/// Sends a signal to exactly the process behind `pidfd`, never to a later one with its number.
[[nodiscard]] Result<void> send_signal(int pidfd, int signal_number);

/// A process's use of a file.
enum class FileUse : std::uint8_t {
  mapped,
  not_mapped,
  no_memory,  ///< the process is ending and has no memory any more
  unknown,    ///< the system does not tell
};

/// Returns whether process `pid` has a mapping of the file behind the open descriptor `fd`. May
/// wait for that process while it maps or unmaps.
[[nodiscard]] FileUse use_of_file(pid_t pid, int fd);

}  // namespace mews::inline MEWS_LAYOUT::os
