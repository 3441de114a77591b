// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "mews/base/layout_version.hpp"

/// Arithmetic on numbers that another process may have forged: returns nothing instead of wrapping.
namespace mews::inline MEWS_LAYOUT::base {

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_add(std::uint64_t a,
                                                                 std::uint64_t b) noexcept {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_mul(std::uint64_t a,
                                                                 std::uint64_t b) noexcept {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

[[nodiscard]] constexpr bool is_aligned(std::uint64_t value, std::uint64_t unit) noexcept {
  return (value & (unit - 1)) == 0;
}

[[nodiscard]] constexpr std::uint64_t ceil_div(std::uint64_t value, std::uint64_t unit) noexcept {
  return value / unit + (value % unit != 0 ? 1 : 0);
}

}  // namespace mews::inline MEWS_LAYOUT::base
