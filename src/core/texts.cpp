// SPDX-License-Identifier: MIT
#include "texts.hpp"

#include <fmt/format.h>

namespace mews::detail {

std::string size_text(std::uint64_t bytes) {
  constexpr std::uint64_t kKi = 1024;
  if (bytes >= kKi * kKi * kKi && bytes % (kKi * kKi * kKi) == 0) {
    return fmt::format("{} GiB", bytes / (kKi * kKi * kKi));
  }
  if (bytes >= kKi * kKi && bytes % (kKi * kKi) == 0)
    return fmt::format("{} MiB", bytes / (kKi * kKi));
  if (bytes >= kKi && bytes % kKi == 0) return fmt::format("{} KiB", bytes / kKi);
  return fmt::format("{} bytes", bytes);
}

std::string duration_text(std::chrono::nanoseconds duration) {
  const auto ns = static_cast<double>(duration.count());
  if (ns >= 1e9) return fmt::format("{:.1f} s", ns / 1e9);
  if (ns >= 1e6) return fmt::format("{:.0f} ms", ns / 1e6);
  return fmt::format("{:.0f} us", ns / 1e3);
}

std::string printable(const char* text, std::size_t limit) {
  std::string result;
  for (std::size_t i = 0; i < limit && text[i] != '\0'; ++i) {
    result += text[i] > ' ' && text[i] <= '~' ? text[i] : '?';
  }
  return result;
}

}  // namespace mews::detail
