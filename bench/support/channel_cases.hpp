// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>

#include "support/bytes.hpp"
#include "support/case.hpp"

/// Whole sessions: a host here, a plugin process there that joined by a socket.
namespace mews::bench {

/// Never sleeps within a benchmark / sleeps at once.
inline constexpr std::chrono::nanoseconds kSpin = std::chrono::milliseconds(100);
inline constexpr std::chrono::nanoseconds kSleep = std::chrono::nanoseconds(0);

/// Request and reply by `send(span)` and `receive`; every byte is written and read.
[[nodiscard]] CasePtr channel_round_trip(std::size_t bytes, std::chrono::nanoseconds spin_limit);

/// loan, write, send; receive, read, release; and the same back.
[[nodiscard]] CasePtr channel_echo(std::size_t bytes, Touch touch);

/// loan, write, send here; receive, read, release there. Of large payloads only a few are on
/// their way at once, as a picture pipeline would have it.
[[nodiscard]] CasePtr channel_stream(std::size_t bytes, Touch touch);

/// `send(span)` here, `receive_batch` there.
[[nodiscard]] CasePtr channel_batch_stream(std::size_t bytes);

/// `send(span)` here, `receive` there.
[[nodiscard]] CasePtr channel_one_way(std::size_t bytes);

/// `send(span)`, then `receive`, both in one thread.
[[nodiscard]] CasePtr channel_alone(std::size_t bytes);

/// A loan that is dropped unsent, its first word written.
[[nodiscard]] CasePtr channel_loan_alone(std::size_t bytes);

}  // namespace mews::bench
