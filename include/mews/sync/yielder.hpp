// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "mews/deadline.hpp"
#include "mews/layout/cpu_turns.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

/// What a `Yielder` asks of the system.
struct Cpu {
  using Clock = Deadline::Clock;
  [[nodiscard]] static Clock::time_point now() noexcept { return Clock::now(); }
  /// Lets another thread run on this processor, if one wants to; otherwise a system call of some
  /// 0.3 microseconds.
  static void yield() noexcept;
  /// Returns the processor's number: for a guess.
  [[nodiscard]] static unsigned number() noexcept;
};

/// What a waiter knows of those who share its processor.
enum class Company : std::uint8_t {
  none,     ///< it is alone
  waiters,  ///< others that wait as it does: a yield is short
  workers,  ///< at least one that computes: a yield lasts for a time slice
};

/// Finds out whether other threads want the processor of this one, by letting them have it.
///
/// A waiter that looks while others want its processor keeps them from the work that it waits for.
/// How many threads there are says little about that, nor how many processors this process may use:
/// what matters is whether somebody wants *this* one now. A yield tells: it takes as long as a
/// system call, or as long as the others ran.
///
/// A thread whose waits are short never sleeps and so keeps its processor for a whole time slice of
/// milliseconds, while its neighbours stand still. So `take_turn` yields at every so many waits:
/// among n such threads each then stands still for n short turns. (Measured, 17 clients on two
/// processors: at most 0.2 ms in 999 of 1,000 waits; without turns each stands 64 ms at a time.)
///
/// But a thread that computes takes a whole time slice at each yield: then it is better to sleep,
/// as a thread that is woken comes first. Which of the two it was, the length of a yield does not
/// tell: waiters that have not noticed each other keep their slices too. So each waiter of the
/// arena counts its waits at its processor's place in `CpuTurns`: if the waiters there have gone on
/// meanwhile as only waiters can, they were it. If not, the next waits do not yield; each time
/// twice as many.
///
/// word         writer           readers          publish / observe  protects
/// CpuTurns     every waiter     every waiter     relaxed            nothing: a hint
/// all members  the waiter       the waiter       relaxed            nothing: hints
///
/// One waiter at a time, on any thread, though several do no harm. Relaxed throughout: an old value
/// only makes a wait a little longer or shorter. Tests have another `System`.
template <class System>
class BasicYielder {
 public:
  using TimePoint = Deadline::Clock::time_point;

  /// `turns`: those of the arena; null where no other waiter counts.
  explicit BasicYielder(layout::CpuTurns* turns) noexcept : turns_(turns) {}

  [[nodiscard]] Company company() const noexcept { return company_.load(kRelaxed); }

  /// For each wait, at its start: yields when it is this thread's turn to.
  void take_turn() {
    const auto waits = waits_.load(kRelaxed) + 1;
    waits_.store(waits, kRelaxed);
    if (waits % kCrowdedTurn != 0) return;
    if (waits % kCountEvery == 0) count(here());
    if (company() == Company::none && waits % kLonelyTurn != 0) return;
    (void)yield(System::now());
  }

  /// Yields, unless that lasts for a time slice. `now` is the time. Returns whether others may have
  /// run meanwhile.
  bool yield(TimePoint now) {
    if (const auto rest = rest_.load(kRelaxed); rest > 0) {
      rest_.store(rest - 1, kRelaxed);
      return false;
    }
    auto* const place = here();
    const auto before = count(place);
    System::yield();
    const auto took = System::now() - now;
    if (took < kSomebodyRan) {
      const auto calm = calm_.load(kRelaxed) + 1;
      calm_.store(calm, kRelaxed);
      if (calm >= kCrowdLasts) become(Company::none);
      // Slowly: the scheduler moves threads to and fro.
      const auto last = last_rest_.load(kRelaxed);
      last_rest_.store(last - last / 8, kRelaxed);
      return false;
    }
    calm_.store(0, kRelaxed);
    // Relaxed, as in `count`.
    const auto turns = place == nullptr ? 0 : place->load(kRelaxed) - before;
    if (took < kSliceRan || took <= turns * kLongestTurn) {
      become(Company::waiters);
      return true;
    }
    become(Company::workers);
    const auto rest = std::clamp(2 * last_rest_.load(kRelaxed), kShortestRest, kLongestRest);
    rest_.store(rest, kRelaxed);
    last_rest_.store(rest, kRelaxed);
    return true;
  }

 private:
  static constexpr auto kRelaxed = std::memory_order_relaxed;
  /// Waits from one turn to the next, each a multiple of the first. That is about as long as a few
  /// switches.
  static constexpr std::uint32_t kCrowdedTurn = 8;
  static constexpr std::uint32_t kLonelyTurn = 256;
  static constexpr std::uint32_t kCountEvery = 64;
  /// So many yields in a row to nobody: the crowd has gone.
  static constexpr std::uint32_t kCrowdLasts = 4;
  /// Yields that are left out after a long one.
  static constexpr std::uint32_t kShortestRest = 64;
  static constexpr std::uint32_t kLongestRest = 1u << 13;
  /// A system call alone takes less, to switch to a thread and back more.
  static constexpr std::chrono::nanoseconds kSomebodyRan{1000};
  /// Shorter than a time slice.
  static constexpr std::chrono::nanoseconds kSliceRan{700'000};
  /// A waiter counts more often than that while it runs.
  static constexpr std::chrono::nanoseconds kLongestTurn{100'000};

  void become(Company company) noexcept { company_.store(company, kRelaxed); }

  [[nodiscard]] base::Atomic<std::uint32_t>* here() const noexcept {
    return turns_ == nullptr ? nullptr : &turns_->of(System::number());
  }
  /// Counts this waiter's turn; returns the count.
  static std::uint32_t count(base::Atomic<std::uint32_t>* place) noexcept {
    if (place == nullptr) return 0;
    // Relaxed: a hint. A plain step, as mostly one processor writes here; one that is lost does no
    // harm.
    const auto counted = place->load(kRelaxed) + 1;
    place->store(counted, kRelaxed);
    return counted;
  }

  layout::CpuTurns* const turns_;
  std::atomic<std::uint32_t> waits_{0};
  std::atomic<std::uint32_t> calm_{0};
  std::atomic<std::uint32_t> rest_{0};
  std::atomic<std::uint32_t> last_rest_{0};
  /// To begin with, it takes turns: others may not know of it.
  std::atomic<Company> company_{Company::waiters};
};

using Yielder = BasicYielder<Cpu>;

}  // namespace mews::inline MEWS_LAYOUT::sync
