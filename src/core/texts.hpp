// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Why an event loop may not be armed.
inline constexpr auto kFenceForbidden =
    "membarrier has been forbidden, so an event could be missed";

/// Returns a text such as "16 MiB", "1 KiB" or "480 bytes".
[[nodiscard]] std::string size_text(std::uint64_t bytes);
/// Returns a text such as "5.0 s", "12 ms" or "40 us".
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds duration);
/// Returns the length in bytes of the first character of `text`, as UTF-8; 0 if `text` is empty, or
/// the character is a space, a control character, a line separator, or not well formed.
[[nodiscard]] std::size_t printable_length(std::string_view text) noexcept;
/// Returns `text` with a '?' for each byte that belongs to no printable character.
[[nodiscard]] std::string printable(std::string_view text);
/// Returns a text from another process, of any bytes, as one line: '?' as above, but spaces stay,
/// and what breaks a line becomes one. Without a cut character at the end.
[[nodiscard]] std::string one_line(std::string_view text);
/// Returns a name from another process, made printable: up to its first zero, at most `limit`
/// bytes, without a cut character at the end.
[[nodiscard]] std::string printable(const char* text, std::size_t limit);

}  // namespace mews::inline MEWS_LAYOUT::detail
