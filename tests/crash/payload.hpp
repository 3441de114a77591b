// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

/// Payloads that say which they are: a number, the size, and bytes that follow from both.
namespace mews_test {

inline constexpr std::size_t kMinPayload = 24;
/// Of a large payload every so many bytes are looked at: a run costs microseconds, not
/// milliseconds.
inline constexpr std::size_t kStride = 4093;

[[nodiscard]] inline std::byte byte_at(std::uint64_t number, std::size_t at) noexcept {
  return static_cast<std::byte>((number * 131 + at * 7 + 1) & 0xff);
}

inline void fill(std::span<std::byte> bytes, std::uint64_t number) noexcept {
  const std::uint64_t head[3] = {number, bytes.size(), ~number};
  std::memcpy(bytes.data(), head, sizeof head);
  const std::size_t step = bytes.size() <= kStride ? 1 : kStride;
  for (auto at = kMinPayload; at < bytes.size(); at += step)
    bytes[at] = byte_at(number, at);
  if (bytes.size() > kMinPayload) bytes.back() = byte_at(number, bytes.size() - 1);
}

/// What is wrong with a payload that ought to be number `number`; nothing when it is right.
[[nodiscard]] inline std::optional<std::string> fault_of(std::span<const std::byte> bytes,
                                                         std::uint64_t number) {
  std::uint64_t head[3] = {};
  if (bytes.size() < kMinPayload) return "it has only " + std::to_string(bytes.size()) + " bytes";
  std::memcpy(head, bytes.data(), sizeof head);
  if (head[0] != number || head[2] != ~number) {
    return "it is number " + std::to_string(head[0]) + ", not " + std::to_string(number);
  }
  if (head[1] != bytes.size()) return "it was " + std::to_string(head[1]) + " bytes long";
  const std::size_t step = bytes.size() <= kStride ? 1 : kStride;
  for (auto at = kMinPayload; at < bytes.size(); at += step) {
    if (bytes[at] != byte_at(number, at)) return "byte " + std::to_string(at) + " is wrong";
  }
  if (bytes.size() > kMinPayload && bytes.back() != byte_at(number, bytes.size() - 1)) {
    return "its last byte is wrong";
  }
  return std::nullopt;
}

}  // namespace mews_test
