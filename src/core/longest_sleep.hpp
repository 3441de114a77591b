// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

namespace mews::detail {

/// Upper bound on one sleep of a waiter that must look again by itself. A variable for the tests of
/// wake-ups alone, which set it to a long time before anybody waits: a wake-up that is lost would
/// otherwise be made up for by the next look.
inline std::chrono::nanoseconds longest_sleep = std::chrono::seconds(1);

}  // namespace mews::detail
