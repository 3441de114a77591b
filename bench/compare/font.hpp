// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace mews::bench::compare {

/// Returns what a font (WOFF2) has decompressed; 0 when it is none, or this program was built
/// without the decoder.
[[nodiscard]] std::size_t decompressed_bytes(const std::string& font);

/// Into memory of that size.
void decompress_font(std::span<const std::byte> font, std::span<std::byte> into);

}  // namespace mews::bench::compare
