// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "support/bytes.hpp"

namespace mews::bench::compare {

/// The first word of a client's last message.
inline constexpr std::uint64_t kBye = ~std::uint64_t{0};

/// The first word is the message's number. It is followed by as many bytes of a pattern as are to
/// be touched, which the receiver sums up. A whole line is written word by word, then the rest at
/// once.
inline void write_payload(std::span<std::byte> bytes, std::size_t touched, std::uint64_t number) {
  write_header(bytes, number);
  const auto first = std::min<std::size_t>(touched, 64);
  if (first > 8) write_all(bytes.subspan(8, first - 8), number);
  if (touched > first) write_all(bytes.subspan(first, touched - first), number);
}

[[nodiscard]] inline std::uint64_t number_of(std::span<const std::byte> bytes) {
  std::uint64_t number = 0;
  const auto* from = bytes.data();
  asm("" : "+r"(from));
  std::memcpy(&number, from, sizeof number);
  return number;
}

inline void check_payload(std::span<const std::byte> bytes, std::size_t touched,
                          std::uint64_t number) {
  require(number_of(bytes) == number, "a message was lost, or came twice, or out of order");
  if (touched > 8) check_all(bytes.subspan(8, touched - 8), number);
}

}  // namespace mews::bench::compare
