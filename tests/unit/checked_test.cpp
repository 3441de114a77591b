// SPDX-License-Identifier: MIT
#include <cstdint>
#include <limits>

#include "../support/catch.hpp"
#include "mews/base/checked.hpp"

namespace {

using mews::base::ceil_div;
using mews::base::checked_add;
using mews::base::checked_mul;
using mews::base::is_aligned;

constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();

}  // namespace

TEST_CASE("checked: a sum that fits is given, one that wraps is refused") {
  CHECK(checked_add(2, 3) == 5U);
  CHECK(checked_add(kMax, 0) == kMax);
  CHECK(checked_add(kMax - 1, 1) == kMax);
  CHECK_FALSE(checked_add(kMax, 1));
  CHECK_FALSE(checked_add(kMax / 2 + 1, kMax / 2 + 1));
}

TEST_CASE("checked: a product that fits is given, one that wraps is refused") {
  CHECK(checked_mul(6, 7) == 42U);
  CHECK(checked_mul(kMax, 0) == 0U);
  CHECK(checked_mul(kMax, 1) == kMax);
  CHECK_FALSE(checked_mul(kMax, 2));
  CHECK_FALSE(checked_mul(std::uint64_t{1} << 32, std::uint64_t{1} << 32));
}

TEST_CASE("checked: alignment is a multiple of the unit") {
  CHECK(is_aligned(0, 64));
  CHECK(is_aligned(128, 64));
  CHECK_FALSE(is_aligned(96, 64));
  CHECK(is_aligned(kMax, 1));
}

TEST_CASE("checked: division rounds up and does not wrap near the end of the range") {
  CHECK(ceil_div(0, 8) == 0);
  CHECK(ceil_div(1, 8) == 1);
  CHECK(ceil_div(8, 8) == 1);
  CHECK(ceil_div(9, 8) == 2);
  CHECK(ceil_div(kMax, 2) == kMax / 2 + 1);
}
