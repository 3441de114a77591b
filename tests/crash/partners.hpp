// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "crash/host_side.hpp"

namespace mews_test {

/// The host's part in the scenario of that name, see plugin_scenarios.hpp: until the plugin has
/// nothing more for it, or is gone. What it sends is received by the caller, to the end.
void play_partner(std::string_view scenario, HostSide& host_side);

}  // namespace mews_test
