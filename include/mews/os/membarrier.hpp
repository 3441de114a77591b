// SPDX-License-Identifier: MIT
#pragma once

/// The asymmetric fence: the side that runs often pays nothing, the side that is about to sleep
/// makes the kernel run a full fence on every running thread of every registered process
/// (`membarrier`, GLOBAL_EXPEDITED; Linux 4.16).
namespace mews::os {

/// Registers this process for `heavy_fence` of others; repeating it is harmless. False where the
/// kernel cannot, in builds that model fences (MEWS_STEPPED) or must see them (ThreadSanitizer),
/// and where the environment has MEWS_FULL_FENCE set (to a non-empty value). Thread-safe.
[[nodiscard]] bool register_light_fence() noexcept;

/// True once `register_light_fence` has succeeded in this process.
[[nodiscard]] bool has_light_fence() noexcept;

#if defined(MEWS_STEPPED)
/// Makes the model checker's fence be there, which `heavy_fence` announces to it.
inline bool has_modelled_fence = false;
#endif

/// A full fence on this thread and, as seen from here, on every thread of every registered
/// process. About a microsecond; never blocks. Falls back to a fence of this thread alone.
void heavy_fence() noexcept;

}  // namespace mews::os
