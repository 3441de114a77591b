// SPDX-License-Identifier: MIT
#pragma once

/// Goes behind a function's declarator: the result refers into the object of the call. So clang
/// warns when that object is a temporary and the result is kept. A macro, because other compilers
/// warn about the attribute.
#if defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::lifetimebound)
#define MEWS_LIFETIMEBOUND [[clang::lifetimebound]]
#endif
#endif
#if !defined(MEWS_LIFETIMEBOUND)
#define MEWS_LIFETIMEBOUND
#endif
