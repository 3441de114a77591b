// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

namespace mews::bench {

/// Forks a process that dies with this one. Returns as fork does; ends everything when that fails.
[[nodiscard]] pid_t fork_child();

/// From now on a child that ends ends everything: a parent that spins would wait for it for ever.
void watch_child(pid_t pid);
/// The end of this one is no error any more.
void unwatch_child(pid_t pid);
/// Nor is that of any other; and no signal handler interrupts a wait any more.
void unwatch_children();

}  // namespace mews::bench
