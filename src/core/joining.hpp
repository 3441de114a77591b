// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>

#include "guest_core.hpp"
#include "mews/options.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// What is wrong with the options themselves.
[[nodiscard]] std::optional<Error> check_options(const AttachOptions& options);

/// Finds a host by socket or by name, asks it for a seat, and takes that. What may be a change of
/// hosts is tried again until the deadline. Errors of `Session::attach`.
[[nodiscard]] Result<std::unique_ptr<GuestCore>> join_host(const AttachOptions& options,
                                                           Deadline deadline);

}  // namespace mews::inline MEWS_LAYOUT::detail
