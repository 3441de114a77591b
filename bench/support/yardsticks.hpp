// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "support/bytes.hpp"
#include "support/case.hpp"

/// What the machine itself can do: no message between two processes is faster than these.
namespace mews::bench {

/// One word goes there and back within one cache line.
[[nodiscard]] CasePtr ping_pong();

/// The same over two rings of 1024 lines, one per direction: what a message queue cannot avoid,
/// as the writer's next line was last in the reader's cache.
[[nodiscard]] CasePtr ring_ping_pong();

/// There and back by futex, both sides asleep while they wait.
[[nodiscard]] CasePtr futex_round_trip();

/// memcpy from one warm buffer to another.
[[nodiscard]] CasePtr memory_copy(std::size_t bytes);

/// glibc: malloc, write the first word, free.
[[nodiscard]] CasePtr malloc_free(std::size_t bytes);

/// One way through a pipe: every byte is written by the sender; read from the pipe, then either
/// the header or every byte is looked at.
[[nodiscard]] CasePtr pipe_stream(std::size_t bytes, Touch touch);

/// The same there and back.
[[nodiscard]] CasePtr pipe_echo(std::size_t bytes, Touch touch);

}  // namespace mews::bench
