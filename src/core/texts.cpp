// SPDX-License-Identifier: MIT
#include "texts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

/// Returns the length of a UTF-8 character by its first byte; 0 if no character begins so.
std::size_t announced_length(char first) noexcept {
  const auto byte = static_cast<unsigned char>(first);
  if (byte < 0x80) return 1;
  if (byte < 0xc0) return 0;
  if (byte < 0xe0) return 2;
  if (byte < 0xf0) return 3;
  return byte < 0xf8 ? 4 : 0;
}

bool is_continuation(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// Returns the length of the first character of `text`; 0 if some of its bytes are missing.
std::size_t sequence_length(std::string_view text) noexcept {
  const auto length = text.empty() ? 0 : announced_length(text.front());
  if (length == 0 || length > text.size()) return 0;
  const auto rest = text.substr(1, length - 1);
  return std::all_of(rest.begin(), rest.end(), is_continuation) ? length : 0;
}

char32_t code_point(std::string_view sequence) noexcept {
  constexpr std::array<unsigned char, 5> kFirstBits{0, 0x7f, 0x1f, 0x0f, 0x07};
  char32_t code = static_cast<unsigned char>(sequence.front()) & kFirstBits[sequence.size()];
  for (const char c : sequence.substr(1))
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3f);
  return code;
}

/// Returns whether this is the shortest form of a valid character (RFC 3629).
bool is_well_formed(char32_t code, std::size_t length) noexcept {
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  return code >= kLeast[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

/// C0, DEL, C1, and the line and paragraph separators.
bool is_control(char32_t code) noexcept {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

std::string_view without_cut_character(std::string_view text) noexcept {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto last = text[text.size() - back];
    if (is_continuation(last)) continue;
    return announced_length(last) > back ? text.substr(0, text.size() - back) : text;
  }
  return text;
}

}  // namespace

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

std::size_t printable_length(std::string_view text) noexcept {
  const auto length = sequence_length(text);
  if (length == 0) return 0;
  const auto code = code_point(text.substr(0, length));
  return is_well_formed(code, length) && !is_control(code) && code != ' ' ? length : 0;
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto length = printable_length(text);
    length == 0 ? result += '?' : result += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

std::string one_line(std::string_view text) {
  text = without_cut_character(text);
  std::string result;
  while (!text.empty()) {
    const auto length = printable_length(text);
    const bool is_space = std::string_view(" \t\r\n").find(text.front()) != std::string_view::npos;
    length != 0 ? result += text.substr(0, length) : result += is_space ? ' ' : '?';
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

std::string printable(const char* text, std::size_t limit) {
  // A copy: the other process may write there meanwhile.
  const std::string copy(text, ::strnlen(text, limit));
  std::string_view name(copy.c_str());
  if (name.size() == limit) name = without_cut_character(name);
  return printable(name);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
