// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace mews::bench {

/// Keeps the calling thread on the `nth` processor that the program was started with (modulo their
/// number). Threads made later inherit it.
void pin_to_nth_cpu(unsigned nth);

/// While it lives, the thread may run on every processor again: some libraries ask how many there
/// are to decide whether looking before sleeping can pay.
class Unpinned {
 public:
  Unpinned();
  Unpinned(const Unpinned&) = delete;
  Unpinned& operator=(const Unpinned&) = delete;
  ~Unpinned();

 private:
  unsigned nth_;
};

[[nodiscard]] inline double now_ns() {
  using namespace std::chrono;
  return static_cast<double>(nanoseconds(steady_clock::now().time_since_epoch()).count());
}

/// A stamp cheap enough for every single operation; `ns_per_tick` gives its unit.
[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}
[[nodiscard]] double ns_per_tick();

}  // namespace mews::bench
