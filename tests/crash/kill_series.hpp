// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

namespace mews_test {

/// How one life of a series has ended.
struct Ending {
  bool was_killed;      ///< at its step; otherwise it got through
  std::uint64_t steps;  ///< that it took
};

/// The steps before which one life after the other is ended: every one, until lives get through.
///
/// Lives of one scenario differ by some steps: who was asleep already, who was first at a slab. So
/// the first lives are let through, to be counted, and the series ends only behind the longest life
/// that was seen, once several in a row have got through.
class KillSeries {
 public:
  [[nodiscard]] bool is_over() const noexcept {
    return at_ > longest_ && survivors_in_a_row_ >= kSurvivorsInARow;
  }
  /// The step before which the next life is to end; 0: it is let through.
  [[nodiscard]] std::uint64_t next() noexcept {
    if (lives_++ >= kFreeLives) ++at_;
    return at_;
  }
  /// How that life ended.
  void note(const Ending& ending) noexcept {
    longest_ = std::max(longest_, ending.steps);
    killed_ += ending.was_killed ? 1 : 0;
    survivors_in_a_row_ = ending.was_killed ? 0 : survivors_in_a_row_ + 1;
  }

  /// Kill points that a life was ended at.
  [[nodiscard]] std::uint64_t killed() const noexcept { return killed_; }

 private:
  static constexpr int kFreeLives = 2;
  static constexpr int kSurvivorsInARow = 3;

  std::uint64_t at_ = 0;
  std::uint64_t longest_ = 0;
  std::uint64_t killed_ = 0;
  int lives_ = 0;
  int survivors_in_a_row_ = 0;
};

}  // namespace mews_test
