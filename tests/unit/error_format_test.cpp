// SPDX-License-Identifier: MIT
#define FMT_HEADER_ONLY 1
#include <fmt/format.h>
#include <fmt/ostream.h>

#include "../support/catch.hpp"
#include "mews/error.hpp"

TEST_CASE("error: fmt prints an error and a code") {
  const mews::Error error(mews::ErrorCode::closed, "fonts");
  CHECK(fmt::format("{}", fmt::streamed(error)) == error.message());
#if FMT_VERSION >= 100000
  CHECK(fmt::format("{}", error) == error.message());
  CHECK(fmt::format("{}", mews::ErrorCode::closed) == "closed");
#endif
}
