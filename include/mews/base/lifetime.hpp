// SPDX-License-Identifier: MIT
#pragma once

/// Behind a function's declarator: what it returns lies in the object that it was called on. Then
/// clang warns where that object is a temporary and the result is kept. A macro, because other
/// compilers warn of the attribute.
#if defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::lifetimebound)
#define MEWS_LIFETIMEBOUND [[clang::lifetimebound]]
#endif
#endif
#if !defined(MEWS_LIFETIMEBOUND)
#define MEWS_LIFETIMEBOUND
#endif
