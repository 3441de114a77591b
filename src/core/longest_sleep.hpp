// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Upper bound on one sleep of a waiter that cannot be sure of its wake-up, and looks again by
/// itself. That is whoever waits for a slab: a freed bell is rung by all peers, and one that is
/// stopped after it has cleared the bell and before it wakes leaves the others a bell that is
/// cleared. And that is the host where it waits for a record or for room, by a thread or an event
/// loop: a plugin that scribbles may clear the bell of another one's lane, or move the sleeper to
/// another word (FUTEX_REQUEUE). A plugin's own threads sleep on: the scribbler's neighbours may be
/// cut off, the host may not.
///
/// A variable for the tests of
/// wake-ups alone, which set it to a long time before anybody waits: a wake-up that is lost would
/// otherwise be made up for by the next look.
inline std::chrono::nanoseconds longest_sleep = std::chrono::seconds(1);

}  // namespace mews::inline MEWS_LAYOUT::detail
