// SPDX-License-Identifier: MIT
#pragma once

/// Opens a namespace whose contents libmews.so exports: `namespace MEWS_VISIBLE mews {`, in the
/// headers at the top level. All else is compiled as hidden. A macro, as clang-format takes no
/// attribute there.
#define MEWS_VISIBLE [[gnu::visibility("default")]]
