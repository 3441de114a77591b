// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "support/case.hpp"

namespace mews::bench {

/// The size classes that all allocators here are compared at.
[[nodiscard]] const std::vector<std::uint64_t>& class_bytes();

/// One process: claim a slab for so many bytes, as a loan does, write its first word, release it.
[[nodiscard]] CasePtr slab_alone(std::uint64_t bytes);

/// Claimed and written to here, read and released there; which slab it is travels over a lane.
[[nodiscard]] CasePtr slab_freed_there(std::uint64_t bytes);

/// The same with the slab handed over as messages do it: send, take, release.
[[nodiscard]] CasePtr slab_handed_over(std::uint64_t bytes);

/// Several processes, each with 16 slabs in hand, claim one and release the oldest.
[[nodiscard]] CasePtr slab_churn(unsigned processes, std::uint64_t bytes);

/// Other allocators for shared memory, alone and freed there.
[[nodiscard]] CasePtr free_list_alone();
[[nodiscard]] CasePtr free_list_freed_there();
[[nodiscard]] CasePtr best_fit_alone(std::uint64_t bytes);
[[nodiscard]] CasePtr best_fit_freed_there(std::uint64_t bytes);

}  // namespace mews::bench
