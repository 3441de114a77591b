// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "support/companion.hpp"

namespace mews::bench {

/// One thing to measure. It may be run in turn with others: between its batches its processes
/// sleep.
class Case {
 public:
  Case() = default;
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;
  virtual ~Case() = default;

  /// The nanoseconds that the batch took, until every process had done its part of it.
  virtual double run(const Batch& batch) = 0;
};
using CasePtr = std::unique_ptr<Case>;

/// `body` in this process alone.
[[nodiscard]] CasePtr local_case(Body body);

/// `here` in this process, on the first processor, `there` in a child on the second.
[[nodiscard]] CasePtr pair_case(Body here, Body there);

/// The time that `repeat_rested` gives the other process to fall asleep.
inline constexpr std::chrono::microseconds kRest{30};

/// The same, where `here` is a `repeat_rested`: the rests are not counted.
[[nodiscard]] CasePtr rested_pair_case(Body here, Body there);

/// `body(nth)` makes the work of each of `processes`; the first is this one. They are spread over
/// the processors, and each does the whole number of operations.
[[nodiscard]] CasePtr crowd_case(unsigned processes, const std::function<Body(unsigned)>& body);

/// The loop of a body.
template <class Operation>
void repeat(const Batch& batch, Operation&& operation) {
  if (batch.each == nullptr) {
    for (std::uint64_t i = 0; i < batch.operations; ++i)
      operation();
    return;
  }
  auto before = ticks();
  for (std::uint64_t i = 0; i < batch.operations; ++i) {
    operation();
    const auto now = ticks();
    batch.each->add(now - before);
    before = now;
  }
}

/// The same, with a rest before each operation: two that sleep now and then while the other answers
/// fall into step, and then neither does.
template <class Operation>
void repeat_rested(const Batch& batch, Operation&& operation) {
  for (std::uint64_t i = 0; i < batch.operations; ++i) {
    const auto end = std::chrono::steady_clock::now() + kRest;
    while (std::chrono::steady_clock::now() < end) {
    }
    const auto before = ticks();
    operation();
    if (batch.each != nullptr) batch.each->add(ticks() - before);
  }
}

}  // namespace mews::bench
