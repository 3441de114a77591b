// SPDX-License-Identifier: MIT
#pragma once

#include "mews/detail/peer_context.hpp"
#include "mews/stats.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Returns the figures of the whole arena.
[[nodiscard]] Stats stats_of(const PeerContext& context);

}  // namespace mews::inline MEWS_LAYOUT::detail
