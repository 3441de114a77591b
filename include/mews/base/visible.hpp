// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/layout_version.hpp"

/// What libmews.so exports; all else is compiled as hidden. A header at the top level opens
/// `namespace MEWS_VISIBLE mews { inline namespace MEWS_LAYOUT {`, which exports the types in it. A
/// function that belongs to no class carries it as well, as clang asks the namespace block of the
/// definition.
#define MEWS_VISIBLE [[gnu::visibility("default")]]
