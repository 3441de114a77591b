// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Upper bound on one sleep: a waiter that can miss its wake-up checks again at least this often.
///
/// Two kinds of waiters need it. First, each waiter for a slab: all peers ring a freed bell. A peer
/// that is stopped after it has cleared the bell and before it wakes leaves the other peers a
/// cleared bell. Second, the host where it waits for a record or for room, in a thread or an event
/// loop: a plugin that scribbles may clear the bell of another plugin's lane, or move the sleeper
/// to another word (FUTEX_REQUEUE). A plugin's threads have no such bound for records and room: a
/// scribbler may cut off its neighbours, but not the host.
///
/// A variable only for the tests of wake-ups. They set it to a long time before anybody waits:
/// otherwise the next check would hide a lost wake-up.
inline std::chrono::nanoseconds longest_sleep = std::chrono::seconds(1);

}  // namespace mews::inline MEWS_LAYOUT::detail
