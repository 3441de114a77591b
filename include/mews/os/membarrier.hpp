// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/layout_version.hpp"

/// The asymmetric fence: the side that runs often pays nothing, the side that is about to sleep
/// makes the kernel run a full fence on every running thread of every registered process
/// (`membarrier`, GLOBAL_EXPEDITED; Linux 4.16).
namespace mews::inline MEWS_LAYOUT::os {

/// Registers this process for `heavy_fence` of others; repeating it is harmless. False where the
/// kernel cannot, where the library was built to model fences (MEWS_STEPPED) or to see them
/// (ThreadSanitizer), and where the environment has MEWS_FULL_FENCE set (to a non-empty value). How
/// the program was compiled plays no part. Thread-safe.
[[nodiscard]] bool register_light_fence() noexcept;

/// True once `register_light_fence` has succeeded in this process, and `heavy_fence` never failed
/// since.
[[nodiscard]] bool has_light_fence() noexcept;

#if defined(MEWS_STEPPED)
/// Makes the model checker's fence be there, which `heavy_fence` announces to it.
inline bool has_modelled_fence = false;
#endif

/// True once a barrier was refused to a process that had registered: by a seccomp filter that was
/// installed later, say. Peers, and other threads here, may go on without fences of their own, as
/// they were told that they may; so whoever relied on `heavy_fence` must do without it.
[[nodiscard]] bool is_light_fence_broken() noexcept;

/// A full fence on this thread and, as seen from here, on every thread of every registered
/// process. About a microsecond; never blocks. Where this process is not registered, nobody counts
/// on more than a fence of this thread, and that is what it is. False: broken, this thread alone.
bool heavy_fence() noexcept;

}  // namespace mews::inline MEWS_LAYOUT::os
