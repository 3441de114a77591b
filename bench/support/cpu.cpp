// SPDX-License-Identifier: MIT
#include "support/cpu.hpp"

#include <sched.h>

#include <vector>

#include "support/fail.hpp"

namespace mews::bench {
namespace {

thread_local unsigned pinned_nth = 0;

const std::vector<int>& cpus() {
  static const std::vector<int> all = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> found;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) fail("sched_getaffinity");
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) found.push_back(i);
    }
    if (found.size() < 2) fail("these benchmarks need two processors");
    return found;
  }();
  return all;
}

void allow(const cpu_set_t& set) {
  if (::sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

}  // namespace

void pin_to_nth_cpu(unsigned nth) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpus()[nth % cpus().size()], &set);
  allow(set);
  pinned_nth = nth;
}

Unpinned::Unpinned() : nth_(pinned_nth) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus())
    CPU_SET(cpu, &set);
  allow(set);
}

Unpinned::~Unpinned() {
  pin_to_nth_cpu(nth_);
}

double ns_per_tick() {
  static const double ratio = [] {
    const auto clock_before = now_ns();
    const auto ticks_before = ticks();
    while (now_ns() - clock_before < 5e6) {
    }
    return (now_ns() - clock_before) / static_cast<double>(ticks() - ticks_before);
  }();
  return ratio;
}

}  // namespace mews::bench
