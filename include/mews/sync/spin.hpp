// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "mews/deadline.hpp"
#include "mews/sync/yielder.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

/// How long to look before sleeping, learnt from the last waits.
///
/// **Alone on its processor** a waiter may look for as long as a sleep and its wake-up would cost:
/// 25 to 60 microseconds across processors (measured), which is the limit. But a wait that is
/// longer anyway had better sleep at once. So the budget is judged by how long waits really take,
/// also those that ended in sleep (`learn`): it doubles after a wait that a spin of the whole limit
/// would have ended, and halves after a longer one, down to a single look. Now and then the whole
/// limit is tried, more and more seldom: it may be the sleeps that make the waits long.
///
/// **In company**, where others want its processor, it looks for as long as a switch to another
/// thread takes. Then it yields once, if the others are waiters as well, looks again, and sleeps.
/// (Measured, 17 clients on two processors: that yield answers nearly every wait, and spares a
/// sleep and a wake-up, some 5 microseconds of processor time.) So a waiter that shares its
/// processor with the very process that it waits for does not keep it waiting. `Yielder` finds out
/// who is there: after the first looks, and then more and more seldom while nobody is.
///
/// word     writer      readers     publish / observe  protects
/// budget_  the waiter  the waiter  relaxed            nothing: a hint
/// waits_   the waiter  the waiter  relaxed            nothing: a hint
/// pause_   the waiter  the waiter  relaxed            nothing: a hint
///
/// One waiter at a time, on any thread. Relaxed throughout: an old value only makes one spin longer
/// or shorter. Tests have another `System`.
template <class System>
class BasicSpinBudget {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  /// `limit` zero or less: never spin, never yield. `turns`: see `BasicYielder`.
  explicit BasicSpinBudget(Nanoseconds limit, layout::CpuTurns* turns = nullptr) noexcept
      : limit_(limit.count()), budget_(limit.count()), yielder_(turns) {}

  /// Looks until `is_ready()` or until the budget or deadline is used up; returns whether it became
  /// ready. The clock is first read after a few dozen looks: a quick answer does not pay for it.
  template <class IsReady>
  bool spin(IsReady&& is_ready, Deadline deadline) {
    began_.reset();
    if (limit_ <= 0) return is_ready();
    yielder_.take_turn();
    auto company = yielder_.company();
    const auto budget = company == Company::none ? next_budget() : limit_;
    if (budget == 0) return is_ready();
    Spell spell;
    for (;;) {
      for (int i = 0; i < kLooks; ++i) {
        if (is_ready()) {
          if (spell.has_begun()) judge(Nanoseconds(0));
          return true;
        }
        cpu_relax();
      }
      const auto now = System::now();
      if (!spell.has_begun()) {
        spell.begin(now, Nanoseconds(budget), company);
        began_ = now;
      }
      if (spell.is_over(now, company) || now >= deadline.at()) return false;
      if (now >= spell.next_yield) {
        (void)yielder_.yield(now);
        company = yielder_.company();
        spell.note_yield(System::now());
      }
    }
  }

  /// Returns when the last spin began, if it has read the clock.
  [[nodiscard]] std::optional<Deadline::Clock::time_point> began() const noexcept { return began_; }

  /// For a wait that needs no spin.
  void take_turn() {
    if (limit_ > 0) yielder_.take_turn();
  }

  /// After a spin in vain: the wait began then, and is over now, after its sleep.
  void learn(Deadline::Clock::time_point began) noexcept {
    if (limit_ > 0) judge(System::now() - began);
  }

 private:
  void judge(Nanoseconds waited) noexcept {
    if (yielder_.company() != Company::none) return;
    const auto least = limit_ / kSmallestShare;
    const auto budget = budget_.load(kRelaxed);
    // The wake-up took a part of it.
    if (waited.count() <= limit_ + limit_ / 2) {
      budget_.store(std::clamp(2 * budget, least, limit_), kRelaxed);
    } else {
      budget_.store(budget / 2 < least ? 0 : budget / 2, kRelaxed);
    }
  }

  using TimePoint = Deadline::Clock::time_point;
  static constexpr auto kRelaxed = std::memory_order_relaxed;
  static constexpr int kLooks = 32;
  static constexpr std::int64_t kSmallestShare = 16;
  /// Waits from one try of the whole limit to the next.
  static constexpr std::uint32_t kShortestPause = 64;
  static constexpr std::uint32_t kLongestPause = 1024;
  static constexpr Nanoseconds kFirstPause{1000};
  /// About as long as a switch to another thread.
  static constexpr Nanoseconds kSwitch{1000};

  /// The part of a spin that reads the clock.
  struct Spell {
    TimePoint began{};
    TimePoint end{};
    TimePoint next_yield{};
    bool has_yielded = false;

    [[nodiscard]] bool has_begun() const noexcept { return began != TimePoint{}; }
    void begin(TimePoint now, Nanoseconds budget, Company company) noexcept {
      began = now;
      end = now + budget;
      next_yield = company == Company::none ? now : now + kSwitch;
    }
    // The next one comes twice as long after the start.
    void note_yield(TimePoint now) noexcept {
      has_yielded = true;
      next_yield = now + (now - began) + kFirstPause;
    }
    [[nodiscard]] bool is_over(TimePoint now, Company company) const noexcept {
      if (company == Company::none) return now >= end;
      return has_yielded || (company == Company::workers && now >= next_yield);
    }
  };

  [[nodiscard]] std::int64_t next_budget() noexcept {
    const auto budget = budget_.load(kRelaxed);
    const auto waits = waits_.load(kRelaxed) + 1;
    const auto pause = pause_.load(kRelaxed);
    waits_.store(waits < pause ? waits : 0, kRelaxed);
    if (budget > 0) {
      pause_.store(kShortestPause, kRelaxed);
    } else if (waits >= pause) {
      pause_.store(std::min(2 * pause, kLongestPause), kRelaxed);
    }
    return waits < pause ? budget : limit_;
  }

  const std::int64_t limit_;
  std::atomic<std::int64_t> budget_;
  std::atomic<std::uint32_t> waits_{0};
  std::atomic<std::uint32_t> pause_{kShortestPause};
  std::optional<TimePoint> began_;
  BasicYielder<System> yielder_;
};

using SpinBudget = BasicSpinBudget<Cpu>;

}  // namespace mews::inline MEWS_LAYOUT::sync
