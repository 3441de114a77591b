// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace example {

/// FNV-1a, 64 bits (draft-eastlake-fnv).
inline std::uint64_t checksum(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const auto byte : bytes) {
    hash ^= std::to_integer<std::uint64_t>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
}

/// The most that `minify` writes for a text.
constexpr std::size_t minified_limit_bytes(std::size_t text_bytes) {
  return sizeof(std::uint64_t) + text_bytes;
}

/// The small plugins' work: the text's checksum, then the text with every run of spaces and line
/// ends made one space. Returns the bytes written; `out` holds `minified_limit_bytes`.
inline std::size_t minify(std::span<const std::byte> text, std::span<std::byte> out) {
  const std::uint64_t sum = checksum(text);
  std::memcpy(out.data(), &sum, sizeof sum);
  std::size_t written = sizeof sum;
  bool is_in_space = false;
  for (const auto byte : text) {
    const bool is_space = byte == std::byte{' '} || byte == std::byte{'\n'};
    if (!is_space) {
      out[written++] = byte;
    } else if (!is_in_space) {
      out[written++] = std::byte{' '};
    }
    is_in_space = is_space;
  }
  return written;
}

}  // namespace example
