// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "mews/base/atomic.hpp"

/// Reproducible random numbers, and the number of operations of a random test.
namespace mews_test {

using Random = std::mt19937_64;

/// Returns the seed of a test: the environment's MEWS_TEST_SEED if it is set, else a new one.
/// Printed at once, so that it is known even when the test hangs or dies.
[[nodiscard]] inline std::uint64_t make_seed(const char* test) {
  const char* given = std::getenv("MEWS_TEST_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("%s: MEWS_TEST_SEED=%llu\n", test, static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

/// A number in [low, high].
[[nodiscard]] inline std::uint64_t between(Random& random, std::uint64_t low, std::uint64_t high) {
  return low + random() % (high - low + 1);
}

/// `count` operations in an ordinary build, fewer where each costs ten times as much, more where
/// MEWS_LONG asks for a long run.
[[nodiscard]] inline std::uint64_t scaled(std::uint64_t count) {
#if defined(__SANITIZE_ADDRESS__)
  constexpr bool kIsSlow = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  constexpr bool kIsSlow = true;
#else
  constexpr bool kIsSlow = mews::base::kIsThreadSanitized;
#endif
#else
  constexpr bool kIsSlow = mews::base::kIsThreadSanitized;
#endif
  if (kIsSlow) count /= 8;
  const char* is_long = std::getenv("MEWS_LONG");
  return is_long != nullptr && *is_long != '\0' ? count * 20 : count;
}

}  // namespace mews_test
