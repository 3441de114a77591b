// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace mews::bench {

/// A benchmark that did not do what it measures says so and ends everything.
[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "bench: %s\n", what);
  std::_Exit(1);
}

inline void require(bool holds, const char* what) {
  if (!holds) [[unlikely]]
    fail(what);
}

/// The value of a `Result`; its error ends everything.
template <class R>
decltype(auto) must(R&& result) {
  if (!result) [[unlikely]]
    fail(result.error().message().c_str());
  return *std::forward<R>(result);
}

/// For a `Result<void>`.
template <class R>
void must_succeed(R&& result) {
  if (!result) [[unlikely]]
    fail(result.error().message().c_str());
}

}  // namespace mews::bench
