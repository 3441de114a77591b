// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>

#include "support/bytes.hpp"
#include "support/case.hpp"

/// Links: a host here, a plugin process there that joined by a socket.
namespace mews::bench {

/// A call and its reply, one after the other; every byte is written and read.
[[nodiscard]] CasePtr call_round_trip(std::size_t bytes, std::chrono::nanoseconds spin_limit);

/// The same with so many calls open at once.
[[nodiscard]] CasePtr calls_in_flight(std::size_t bytes, unsigned in_flight);

/// A piece of a stream here, received there: loans.
[[nodiscard]] CasePtr link_stream(std::size_t bytes, Touch touch);

}  // namespace mews::bench
