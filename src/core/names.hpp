// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Returns the first fault in a session's or plugin's name, and its place; nothing if the name is
/// valid. `option`: the option that gives the name, for the error.
[[nodiscard]] std::optional<Error> check_name(const std::string& name,
                                              std::string_view option = "name");
/// Returns the name of a named arena's shared memory.
[[nodiscard]] std::string memory_name(const std::string& name);
/// Where a named arena's host listens: in the abstract namespace, per user.
[[nodiscard]] std::string socket_of_name(const std::string& name);

}  // namespace mews::inline MEWS_LAYOUT::detail
