// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/layout_version.hpp"

/// The asymmetric fence: the side that runs often pays nothing, the side that is about to sleep
/// makes the kernel run a full fence on every running thread of every registered process
/// (`membarrier`, GLOBAL_EXPEDITED; Linux 4.16).
namespace mews::inline MEWS_LAYOUT::os {

/// Registers this process for `heavy_fence` of others; repeating it is harmless. Returns false
/// where the kernel cannot, in builds that model fences (MEWS_STEPPED) or must see them
/// (ThreadSanitizer), and where the environment has MEWS_FULL_FENCE set (to a non-empty value).
/// Thread-safe.
[[nodiscard]] bool register_light_fence() noexcept;

/// Returns true once `register_light_fence` has succeeded in this process, unless `heavy_fence` has
/// failed since.
[[nodiscard]] bool has_light_fence() noexcept;

#if defined(MEWS_STEPPED)
/// Switches on the model checker's fence, which `heavy_fence` announces to it.
inline bool has_modelled_fence = false;
#endif

/// Returns true once the kernel has refused a barrier to this process after it had registered: by a
/// seccomp filter that was installed later, say. Peers, and other threads here, may go on without
/// fences of their own, as they were told that they may; so code that relied on `heavy_fence` must
/// do without it.
[[nodiscard]] bool is_light_fence_broken() noexcept;

/// A full fence on this thread and, as seen from here, on every thread of every registered
/// process. About a microsecond; never blocks. If this process is not registered, it is a fence of
/// this thread alone, and nobody counts on more. Returns false when it is broken: this thread
/// alone.
bool heavy_fence() noexcept;

}  // namespace mews::inline MEWS_LAYOUT::os
