// SPDX-License-Identifier: MIT
#pragma once

/// What libmews.so exports; all else is compiled as hidden. It opens the namespace of a header at
/// the top level, `namespace MEWS_VISIBLE mews {`, which exports the types in it. A function that
/// belongs to no class carries it as well, as clang asks the namespace block of the definition.
#define MEWS_VISIBLE [[gnu::visibility("default")]]
