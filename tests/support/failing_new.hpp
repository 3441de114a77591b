// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>

// Sanitizers have an `operator new` of their own, which cannot be replaced in part or at all.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEWS_TEST_FAILING_NEW 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEWS_TEST_FAILING_NEW 0
#endif
#endif
#if !defined(MEWS_TEST_FAILING_NEW)
#define MEWS_TEST_FAILING_NEW 1
#endif

/// Memory that runs out at a chosen moment. `failing_new.cpp` replaces the global `operator new`
/// of each test program; without a `FailingNew` it allocates as usual.
namespace mews_test {

/// Says whether a `FailingNew` has an effect; a test skips itself where it has none.
inline constexpr bool kHasFailingNew = MEWS_TEST_FAILING_NEW != 0;

/// While it lives, one allocation of this thread fails, or several in a row: the `number`-th from
/// now, counted from 1, and those behind it.
/// One at a time in a thread. Test macros allocate, too: none belongs within its life.
class FailingNew {
 public:
  explicit FailingNew(std::uint64_t number, std::uint64_t in_a_row = 1) noexcept;
  FailingNew(const FailingNew&) = delete;
  FailingNew& operator=(const FailingNew&) = delete;
  ~FailingNew();
  /// Returns whether that allocation was requested, and failed.
  [[nodiscard]] bool has_failed() const noexcept;
};

/// Calls `call()` with its first allocation failing, then its second, and so on, and hands each
/// result to `check`; ends with the call that needs no more allocations than were granted, and
/// returns its result, unchecked. Exceptions of `call` come out.
template <class Call, class Check>
auto with_each_allocation_failing(Call&& call, Check&& check) {
  for (std::uint64_t number = 1;; ++number) {
    bool has_failed = false;
    auto result = [&] {
      const FailingNew failing(number);
      auto made = call();
      has_failed = failing.has_failed();
      return made;
    }();
    if (!has_failed) return result;
    check(std::move(result));
  }
}

}  // namespace mews_test
