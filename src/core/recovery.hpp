// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "mews/detail/channel_core.hpp"

/// Recovery, once the kernel says that the process at the other end of a channel is gone. The host
/// recovers in two halves. First the seat becomes `dead`, and the host frees the slabs that nobody
/// can receive. Later, when nobody can receive from the channel any more, the host frees the other
/// slabs, and the seat becomes `vacant`.
namespace mews::inline MEWS_LAYOUT::detail {

/// The host, first half: ends all waits for the plugin of `channel` and frees its slabs, except for
/// payloads that it had published and payloads that others had received. `epoch`: of its seat;
/// `how`: how it ended, for the errors.
void recover_plugin(PeerContext& context, ChannelCore& channel, std::uint32_t epoch,
                    const std::string& how);

/// The host, second half: frees the published payloads that were not received, and makes the seat
/// vacant. Only when nobody receives from the plugin's channel any more.
void vacate_seat(PeerContext& context, PeerId plugin, std::uint32_t epoch) noexcept;

/// A plugin, once its host is gone: ends all waits, for messages, room and slabs. `why`:
/// `host_died`, or `closed` if the host left in good order.
void on_host_death(PeerContext& context, ChannelCore& channel, ErrorCode why);

}  // namespace mews::inline MEWS_LAYOUT::detail
