// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "support/fail.hpp"

namespace mews::bench {

/// Writes every byte. What goes into a ring is written word by word, as a program fills in the
/// fields of a message: `memset` of so few bytes makes masked stores (AVX-512), which cannot be
/// forwarded to the copy into the ring; it waits until they and all stores before have left.
inline void write_all(std::span<std::byte> bytes, std::uint64_t seed) {
  constexpr std::size_t kByWords = 480;
  if (bytes.size() > kByWords || bytes.size() % 8 != 0) {
    std::memset(bytes.data(), static_cast<int>(seed & 0xff), bytes.size());
    return;
  }
  const auto word = 0x0101010101010101ull * (seed & 0xff);
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::memcpy(bytes.data() + i, &word, 8);
    asm("" ::: "memory");  // or the compiler makes a memset of it
  }
}

/// Reads every byte: the sum of its 8-byte words (the last one padded).
[[nodiscard]] inline std::uint64_t sum_all(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  const auto words = bytes.size() / 8;
  for (std::size_t i = 0; i < words; ++i) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + i * 8, 8);
    sum += word;
  }
  if (const auto rest = bytes.size() % 8; rest != 0) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + words * 8, rest);
    sum += word;
  }
  return sum;
}

/// Reads every byte and fails unless they are what `write_all` wrote; whole words only.
inline void check_all(std::span<const std::byte> bytes, std::uint64_t seed) {
  const auto word = 0x0101010101010101ull * (seed & 0xff);
  require(sum_all(bytes) == word * (bytes.size() / 8), "a payload arrived changed");
}

/// Only the first word: a header.
inline void write_header(std::span<std::byte> bytes, std::uint64_t seed) {
  std::memcpy(bytes.data(), &seed, sizeof seed);
}
inline void check_header(std::span<const std::byte> bytes, std::uint64_t seed) {
  std::uint64_t word = 0;
  // Unseen by the compiler, which otherwise warns of messages that are shorter than a word.
  const auto* from = bytes.data();
  asm("" : "+r"(from));
  std::memcpy(&word, from, sizeof word);
  require(word == seed, "a header arrived changed");
}

/// How much of a payload is written by its sender and read by its receiver.
enum class Touch : std::uint8_t { header, all };

inline void write(Touch touch, std::span<std::byte> bytes, std::uint64_t seed) {
  touch == Touch::all ? write_all(bytes, seed) : write_header(bytes, seed);
}
inline void check(Touch touch, std::span<const std::byte> bytes, std::uint64_t seed) {
  touch == Touch::all ? check_all(bytes, seed) : check_header(bytes, seed);
}

}  // namespace mews::bench
