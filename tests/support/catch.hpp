// SPDX-License-Identifier: MIT
#pragma once

/// Catch2, version 3 where it is installed, otherwise version 2, read as version 3: tests include
/// this header only. `SKIP(reason)` leaves the test case, so it belongs in the body of one.
#if __has_include(<catch2/catch_test_macros.hpp>)

#include <catch2/catch_approx.hpp>
#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_all.hpp>

#else

#include <catch2/catch.hpp>
#include <string>

namespace Catch::Matchers {

/// The name that version 3 gives to the matcher of a part of a string.
inline auto ContainsSubstring(const std::string& part) {
  return Contains(part);
}

}  // namespace Catch::Matchers

#endif

// Version 3.3 brings one that counts as skipped. With this one the test counts as passed, but
// tests/run.sh prints the reason at its end.
#if !defined(SKIP)
#define SKIP(reason)             \
  do {                           \
    WARN("skipped: " << reason); \
    return;                      \
  } while (false)
#endif
