// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/deadline.hpp"

/// The kernel's sleep on a word that processes share.
///
/// `std::atomic::wait` is not this: in libstdc++ it sleeps on a word private to the process.
namespace mews::inline MEWS_LAYOUT::os {

enum class FutexWait : std::uint8_t {
  woken,      ///< by a wake, a signal or for no reason: look again
  changed,    ///< the word did not hold `expected` any more
  timed_out,  ///< the deadline passed
};

/// Sleeps while `word` holds `expected`, until woken or the deadline. Any thread. No errors: all
/// other answers of the kernel (a signal) count as `woken`.
FutexWait futex_wait(const base::Atomic<std::uint32_t>& word, std::uint32_t expected,
                     Deadline deadline) noexcept;

/// Wakes up to `sleepers` threads, of any process, that sleep on `word`, the longest sleepers
/// first. Returns the number woken. Never blocks; costs some microseconds for each.
int futex_wake(const base::Atomic<std::uint32_t>& word, int sleepers) noexcept;

#if defined(MEWS_STEPPED)
/// Stands in for the kernel in the model checker; null means the real futex.
struct FutexModel {
  virtual FutexWait wait(const base::Atomic<std::uint32_t>& word, std::uint32_t expected,
                         Deadline deadline) = 0;
  virtual int wake(const base::Atomic<std::uint32_t>& word, int sleepers) = 0;

 protected:
  ~FutexModel() = default;
};
inline FutexModel* futex_model = nullptr;
#endif

}  // namespace mews::inline MEWS_LAYOUT::os
