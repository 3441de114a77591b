// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// "16 MiB", "1 KiB", "480 bytes"
[[nodiscard]] std::string size_text(std::uint64_t bytes);
/// "5.0 s", "12 ms", "40 us"
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds duration);
/// Bytes of the first character of `text`, which is UTF-8; 0 when there is none, or it is a space,
/// a control character, a break of lines, or not well formed.
[[nodiscard]] std::size_t printable_length(std::string_view text) noexcept;
/// The same text with a '?' for each byte that belongs to no printable character.
[[nodiscard]] std::string printable(std::string_view text);
/// A name from another process: up to its first zero, at most `limit` bytes, and no part of a
/// character at the end.
[[nodiscard]] std::string printable(const char* text, std::size_t limit);

}  // namespace mews::inline MEWS_LAYOUT::detail
