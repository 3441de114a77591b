// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "../support/random.hpp"

namespace hostile_test {

using mews_test::Random;

/// A value of the kinds that do most harm.
[[nodiscard]] inline std::uint64_t nasty(Random& random, std::uint64_t old) {
  switch (random() % 6) {
    case 0:
      return random();
    case 1:
      return old ^ std::uint64_t{1} << random() % 64;
    case 2:
      return old + 1;
    case 3:
      return ~std::uint64_t{0};
    case 4:
      return random() % 256;
    default:
      return old - 1;
  }
}

}  // namespace hostile_test
