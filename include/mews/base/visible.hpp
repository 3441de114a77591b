// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/layout_version.hpp"

/// Marks the exports of libmews.so; all else is compiled as hidden. A header at the top level opens
/// its namespace with it, `namespace MEWS_VISIBLE mews {`, which exports the types in it. A
/// function that belongs to no class carries it as well, as clang goes by the namespace block of
/// the definition.
#define MEWS_VISIBLE [[gnu::visibility("default")]]
