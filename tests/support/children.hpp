// SPDX-License-Identifier: MIT
#pragma once

#include <sys/wait.h>

#include <cerrno>

namespace mews_test {

/// Returns whether this process has no child, running or dead. Reaps none.
[[nodiscard]] inline bool has_no_child() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD;
}

}  // namespace mews_test
