// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>

#include "guest_core.hpp"
#include "mews/options.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Returns the first fault in the options; nothing if they are valid.
[[nodiscard]] std::optional<Error> check_options(const AttachOptions& options);

/// Finds a host by socket or by name, asks it for a seat, and takes the seat. Tries again until the
/// deadline after an error that a change of hosts can explain. Errors of `Session::attach`.
[[nodiscard]] Result<std::unique_ptr<GuestCore>> join_host(const AttachOptions& options,
                                                           Deadline deadline);

}  // namespace mews::inline MEWS_LAYOUT::detail
