// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "channel_core.hpp"

/// What a process does once the kernel says that the one at the other end of a channel is gone.
namespace mews::detail {

/// Who is gone: the seat that it had, and how it ended, for the errors.
struct Departed {
  PeerId peer;
  std::uint32_t epoch;
  std::string how;
};

/// The host, of a plugin: nobody waits for it any longer, and all that it had comes back, but for
/// what it had published and what others had received from it.
void take_back(SessionCore& session, ChannelCore& channel, const Departed& plugin);

/// A plugin, of its host: nobody waits any longer, for a message or for a slab. `why`: `host_died`,
/// or `closed` when it has left in good order.
void give_up(SessionCore& session, ChannelCore& channel, ErrorCode why);

}  // namespace mews::detail
