// SPDX-License-Identifier: MIT
#include "mews/os/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

namespace mews::inline MEWS_LAYOUT::os {
namespace {

// Neither call has FUTEX_PRIVATE_FLAG: the sleeper may be another process, at another address.

const void* address_of(const base::Atomic<std::uint32_t>& word) noexcept {
  static_assert(sizeof(word) == sizeof(std::uint32_t), "the kernel reads the word itself");
  return &word;
}

timespec monotonic(Deadline deadline) noexcept {
  const auto since_boot = deadline.at().time_since_epoch();
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot).count();
  return {.tv_sec = static_cast<std::time_t>(ns / 1'000'000'000),
          .tv_nsec = static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

FutexWait futex_wait(const base::Atomic<std::uint32_t>& word, std::uint32_t expected,
                     Deadline deadline) noexcept {
#if defined(MEWS_STEPPED)
  if (futex_model != nullptr) return futex_model->wait(word, expected, deadline);
#endif
  timespec until{};
  if (!deadline.is_forever()) until = monotonic(deadline);
  // WAIT_BITSET is the form whose timeout is absolute: a wait begun again after a signal does not
  // grow longer.
  const long status =
      ::syscall(SYS_futex, address_of(word), FUTEX_WAIT_BITSET, expected,
                deadline.is_forever() ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
  if (status == 0) return FutexWait::woken;
  if (errno == EAGAIN) return FutexWait::changed;
  if (errno == ETIMEDOUT) return FutexWait::timed_out;
  return FutexWait::woken;
}

int futex_wake(const base::Atomic<std::uint32_t>& word, int sleepers) noexcept {
#if defined(MEWS_STEPPED)
  if (futex_model != nullptr) return futex_model->wake(word, sleepers);
#endif
  const long woken =
      ::syscall(SYS_futex, address_of(word), FUTEX_WAKE, sleepers, nullptr, nullptr, 0);
  return static_cast<int>(std::max(woken, 0L));
}

}  // namespace mews::inline MEWS_LAYOUT::os
