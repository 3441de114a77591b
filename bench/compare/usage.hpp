// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace mews::bench::compare {

/// Processor time of this process so far, all threads, in user and in kernel mode.
[[nodiscard]] double cpu_seconds();
/// The same of another process.
[[nodiscard]] double cpu_seconds_of(pid_t pid);

/// The process's share of all its pages.
[[nodiscard]] std::uint64_t proportional_bytes(pid_t pid);

}  // namespace mews::bench::compare
