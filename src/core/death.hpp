// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "mews/detail/channel_core.hpp"

/// What a process does once the kernel says that the one at the other end of a channel is gone.
namespace mews::inline MEWS_LAYOUT::detail {

/// The host, of the plugin of `channel`: nobody waits for it any longer, and all that it had comes
/// back, but for what it had published and what others had received from it. `epoch`: of its seat;
/// `how` it ended, for the errors.
void recover_plugin(PeerContext& context, ChannelCore& channel, std::uint32_t epoch,
                    const std::string& how);

/// A plugin, of its host: nobody waits any longer, for a message or for a slab. `why`: `host_died`,
/// or `closed` when it has left in good order.
void on_host_death(PeerContext& context, ChannelCore& channel, ErrorCode why);

}  // namespace mews::inline MEWS_LAYOUT::detail
