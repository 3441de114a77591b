// SPDX-License-Identifier: MIT
#pragma once

#include <sys/wait.h>

#include <cerrno>

namespace mews_test {

/// Whether this process has no child, running or dead. Takes no status.
[[nodiscard]] inline bool has_no_child() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD;
}

}  // namespace mews_test
