// SPDX-License-Identifier: MIT
#include "mews/os/unique_fd.hpp"

#include <type_traits>

namespace mews::os {

// A copy would close the descriptor twice, and a throwing move could lose it.
static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
static_assert(std::is_nothrow_move_assignable_v<UniqueFd>);

}  // namespace mews::os
