// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <vector>

#include "mews/error.hpp"
#include "mews/options.hpp"
#include "mews/os/spawn.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// What each process of a plugin is started with: read from the host once, as a restart is made by
/// another thread and at another time.
struct ProcessPlan {
  os::SpawnOptions options;                  ///< without what mews adds
  std::array<os::UniqueFd, 3> streams = {};  ///< that `options` names
};

/// `invalid_argument` names the option; `os_error` where the system gives no descriptor.
[[nodiscard]] Result<ProcessPlan> plan_process(const std::vector<std::string>& command,
                                               const PluginOptions& options);

}  // namespace mews::inline MEWS_LAYOUT::detail
