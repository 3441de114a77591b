// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <cstdlib>

#include "mews/base/layout_version.hpp"

/// Checks a condition that only a bug of the calling program can break; prints and aborts.
///
/// Never used on anything that another process wrote: a peer's nonsense is an `Error`.
/// Active in every build; each use costs one predictable branch.
#define MEWS_ASSERT(condition, sentence)             \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::mews::base::assertion_failed(#condition, sentence, __FILE__, __LINE__))

namespace mews::inline MEWS_LAYOUT::base {

[[noreturn, gnu::cold]] inline void assertion_failed(const char* condition, const char* sentence,
                                                     const char* file, int line) noexcept {
  std::fprintf(stderr, "mews: %s (%s) at %s:%d\n", sentence, condition, file, line);
  std::abort();
}

}  // namespace mews::inline MEWS_LAYOUT::base
