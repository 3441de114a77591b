// SPDX-License-Identifier: MIT
#pragma once

/// The version of the arena's layout, and of what the headers compile into a program. It changes
/// with every change of either.
#define MEWS_LAYOUT_VERSION 8

/// The inline namespace that all names of the library are in: `mews::Session` is
/// `mews::layout_8::Session` for the linker, so a program and a library of two versions do not
/// link. Sources open it with `namespace mews::inline MEWS_LAYOUT`, users do not notice it.
#define MEWS_LAYOUT MEWS_LAYOUT_NAME(MEWS_LAYOUT_VERSION)
#define MEWS_LAYOUT_NAME(version) MEWS_LAYOUT_JOIN(layout_, version)
#define MEWS_LAYOUT_JOIN(name, version) name##version
