// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <vector>

#include "mews/error.hpp"
#include "mews/options.hpp"
#include "mews/os/spawn.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// The settings for each process of a plugin. Read from the host's process once, because another
/// thread makes a restart, at another time.
struct ProcessPlan {
  os::SpawnOptions options;                  ///< without the additions of mews
  std::array<os::UniqueFd, 3> streams = {};  ///< owns `options.standard_fds`
};

/// Errors: `invalid_argument` names the option; `os_error` if the system has no free descriptor.
[[nodiscard]] Result<ProcessPlan> plan_process(const std::vector<std::string>& command,
                                               const PluginOptions& options);

}  // namespace mews::inline MEWS_LAYOUT::detail
