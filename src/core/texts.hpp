// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace mews::detail {

/// "16 MiB", "1 KiB", "480 bytes"
[[nodiscard]] std::string size_text(std::uint64_t bytes);
/// "5.0 s", "12 ms", "40 us"
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds duration);
/// A name from another process: cut at its end, anything but printable ASCII as '?'.
[[nodiscard]] std::string printable(const char* text, std::size_t limit);

}  // namespace mews::detail
