// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// What is wrong with a session's or plugin's name, and where; nothing when it is usable. `option`
/// is what the caller knows it as.
[[nodiscard]] std::optional<Error> check_name(const std::string& name,
                                              std::string_view option = "name");
/// A named arena's shared memory.
[[nodiscard]] std::string memory_name(const std::string& name);
/// Where a named arena's host listens: in the abstract namespace, per user.
[[nodiscard]] std::string socket_of_name(const std::string& name);

}  // namespace mews::inline MEWS_LAYOUT::detail
