// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "mews/detail/channel_core.hpp"

/// What follows once the kernel says that the process at the other end of a channel is gone. The
/// host's part has two halves: first the seat becomes `dead`, and all comes back that nobody can
/// receive; then, when nobody can receive anything from the channel any more, the seat becomes
/// `vacant`, and the rest comes back.
namespace mews::detail {

/// The host, first half: nobody waits for the plugin of `channel` any longer, and all of its slabs
/// are freed, but for the payloads that it had published and those that others had received.
/// `epoch`: of its seat; `how` it ended, for the errors.
void recover_plugin(PeerContext& context, ChannelCore& channel, std::uint32_t epoch,
                    const std::string& how);

/// The host, second half: the payloads that were still published are freed, and the seat can be
/// given out again. Nobody receives from the plugin's channel any more.
void vacate_seat(PeerContext& context, PeerId plugin, std::uint32_t epoch) noexcept;

/// A plugin, of its host: nobody waits any longer, for a message or for a slab. `why`: `host_died`,
/// or `closed` when the host has left in good order.
void on_host_death(PeerContext& context, ChannelCore& channel, ErrorCode why);

}  // namespace mews::detail
