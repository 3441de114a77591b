// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "crash/encounter.hpp"

namespace mews_test {

/// The host's part in the scenario of that name, see plugin_scenarios.hpp: until the plugin has
/// nothing more for it, or is gone. What it sends is received by the caller, to the end.
void play_partner(std::string_view scenario, Encounter& encounter);

/// What the host does before the plugin of that scenario is started; `is_alone`: no other works.
void prepare(std::string_view scenario, mews::Channel& any_channel, const mews::mem::Arena& arena,
             bool is_alone);

}  // namespace mews_test
