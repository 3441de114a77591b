// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "mews/deadline.hpp"
#include "mews/sync/doorbell.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

/// The sleeping end of a bell on which one thread at a time sleeps, inside a role. It counts how
/// much comes through between two sleeps, and by that decides who pays for the fences
/// (doorbell.hpp).
///
/// `progress` is any count that only grows with what comes through: cells. An armed bell with a
/// heavy fence costs 0.4 to 11 microseconds, a fence for each publication 20 ns. So where fewer
/// than some hundred cells come between two sleeps, the ringer had better fence; where thousands
/// come, the sleeper.
///
/// One thread at a time. Its notes are private: another process that takes the seat begins anew,
/// with a fresh word.
class BellWaiter {
 public:
  explicit BellWaiter(const Doorbell& bell) noexcept : bell_(bell) {}

  /// Announces a sleeper, as `Doorbell::arm`. Look again, then `sleep`.
  [[nodiscard]] std::uint32_t arm(Sleeper sleeper, std::uint64_t progress) {
    note_arming(progress);
    if (is_often_) return bell_.arm(sleeper, ArmFence::full);
    if (soon_ < kHabit) return bell_.arm(sleeper, ArmFence::heavy);
    is_often_ = true;
    return bell_.arm_often(sleeper);
  }
  /// The same for a sleeper with many bells. Returns the fence that it owes (`heavy` or `full`),
  /// once for all of them, before it looks again: `Doorbell::fence_armed`.
  [[nodiscard]] ArmFence arm_one_of_many(Sleeper sleeper, std::uint64_t progress) {
    note_arming(progress);
    if (!is_often_ && soon_ >= kHabit) {
      is_often_ = true;
      (void)bell_.arm_often_fenced_later(sleeper);
      return ArmFence::heavy;
    }
    (void)bell_.arm(sleeper, ArmFence::later);
    return is_often_ ? ArmFence::full : ArmFence::heavy;
  }

  /// Looks after the habit: for each wait that may have ended without sleep.
  void tend(std::uint64_t progress) {
    if (!is_often_ || progress - last_armed_ < kManyCells) return;
    is_often_ = false;
    bell_.say_seldom();
  }

  void sleep(std::uint32_t ticket, Deadline deadline) const { bell_.sleep(ticket, deadline); }
  [[nodiscard]] const Doorbell& bell() const noexcept { return bell_; }

 private:
  void note_arming(std::uint64_t progress) {
    const bool is_soon = progress - last_armed_ < kFewCells;
    soon_ = is_soon ? soon_ + 1 : 0;
    tend(progress);
    last_armed_ = progress;
  }

  static constexpr std::uint64_t kFewCells = 256;
  static constexpr std::uint64_t kManyCells = 4096;
  static constexpr std::uint32_t kHabit = 2;

  Doorbell bell_;
  std::uint64_t last_armed_ = 0;
  std::uint32_t soon_ = 0;
  bool is_often_ = false;
};

}  // namespace mews::inline MEWS_LAYOUT::sync
