// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <climits>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/deadline.hpp"
#include "mews/os/futex.hpp"
#include "mews/os/membarrier.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

/// How a sleeper asks to be woken.
enum class Sleeper : std::uint32_t {
  futex = 1,       ///< sleeps in `Doorbell::sleep`
  event_loop = 2,  ///< sleeps in poll on an eventfd, which the ringer must signal
};

/// The fence that keeps the ringer's look at the bell behind its publication.
enum class RingFence : std::uint8_t {
  light,           ///< none, unless the bell says `often`; both processes must be registered for it
  full,            ///< a full fence of the ringer's
  after_exchange,  ///< the publication was itself a seq_cst read-modify-write
};

/// The fence that keeps the sleeper's second look behind its arming.
enum class ArmFence : std::uint8_t {
  heavy,  ///< the ringers may have no fence of their own
  full,   ///< each ringer fences in full: after an exchange, or as the bell has said `often`
  later,  ///< the caller pays it itself, once for many bells, before its second look at each
};

/// One shared word on which one side sleeps until the other has published something.
///
///    31            3   2   1   0
///   +---------------+---+---+---+
///   |   sequence    | o | e | f |   f: somebody sleeps on the futex; e: in an event loop
///   +---------------+---+---+---+   o: somebody sleeps here often
///
/// The sleeper: arms [S1], fences, *looks again*, sleeps. The ringer: publishes, fences, looks at
/// the bits [R1], and only if one is set clears them, advances the sequence [R2] and wakes. At
/// least one of the two looks sees the other side's write: no wake-up is lost, and a ringer that
/// nobody waits for makes no system call.
///
/// **Who pays for the fences.** Of the two one must be heavy, or both full. A heavy one
/// (membarrier) costs its caller 0.4 microseconds while the other processors idle and 11 while they
/// run anything; a full one costs each publication some 20 ns. So a sleeper that sleeps seldom pays
/// the heavy one, and its ringer none. One that sleeps often says so [S3]: then the ringer fences
/// in full, and arming costs no system call.
///
///   light -> often   the sleeper: sets o, then a heavy fence, once
///   often -> light   the sleeper: clears o; from then on it pays the heavy fence
///
/// A ringer publishes, then looks at o [R1]. If it misses an o that has been set, its look came
/// before the heavy fence, and so did its publication: the sleeper's look after that fence, and
/// each later one, finds it. If it sees an o that has been cleared, it fences once for nothing.
///
/// word  writer           readers          publish / observe           protects
/// word  sleeper, ringer  sleeper, ringer  [S1] / [R1], fence on each  nothing: says "look again"
///                                         [R2] / the kernel's compare
///                                         [S3] / [R1], heavy fence    nothing: says "fence"
///
/// Sources: an eventcount (D. Reed, R. Kanodia, "Synchronization with Eventcounts and Sequencers",
/// 1979) that sleeps on a futex; the ringer's light fence and the sleeper's heavy one are what
/// membarrier(2) is made for. That a side changes, by a heavy fence, from one protocol to the other
/// is how a biased lock loses its bias.
///
/// Death: a sleeper's leaves a bit set, which the next ring clears at the price of one needless
/// wake; its `often` costs the ringer a fence for each publication, until the lane begins anew. A
/// ringer's between [R2] and the wake leaves the sleeper asleep: the watcher of that process rings
/// again once it is known dead. A ringer that is only stopped there is not dead: where several ring
/// one bell, the next ringer finds it cleared, so the sleeper must look again by itself.
///
/// Malice: any process of the arena can have thousands of threads asleep on any bell, each of which
/// costs a ringer some 7 microseconds. So one ring wakes at most `kMostWoken`, the longest sleepers
/// first, and leaves the bell armed if there may be more: an honest sleeper behind n others is
/// woken by ring number n / kMostWoken + 1, or looks again by itself. One that clears o makes its
/// neighbour miss a wake-up, as one that clears f does.
class Doorbell {
 public:
  static constexpr std::chrono::milliseconds kUnfencedSleep{10};
  /// Most sleepers that one `ring` wakes. A lane's bell has at most one honest sleeper, the thread
  /// in the role; a freed bell has one for each process, the lead at the gate. All of them at once
  /// have something to do only if as many slabs were freed; where more than these wait, later rings
  /// and the look once a second serve the rest. 64 wakes take half a millisecond.
  static constexpr int kMostWoken = 64;

  explicit Doorbell(base::Atomic<std::uint32_t>& word) noexcept : word_(&word) {}

  /// Announces a sleeper and returns its ticket. The caller must then look again, and pass the
  /// ticket to `sleep` only if there is still nothing.
  [[nodiscard]] std::uint32_t arm(Sleeper sleeper, ArmFence fence) const {
    return set(static_cast<std::uint32_t>(sleeper), fence);
  }
  /// The same, and says that this will happen often. Costs a heavy fence; after it `ArmFence::full`
  /// is enough, until `say_seldom`. One sleeper at a time, in one process.
  [[nodiscard]] std::uint32_t arm_often(Sleeper sleeper) const {
    return set(static_cast<std::uint32_t>(sleeper) | kOften, ArmFence::heavy);
  }
  [[nodiscard]] std::uint32_t arm_often_fenced_later(Sleeper sleeper) const {
    return set(static_cast<std::uint32_t>(sleeper) | kOften, ArmFence::later);
  }
  /// Pays what bells armed with `ArmFence::later` owe: `due` is `heavy` if it is for any of them.
  static void fence_armed(ArmFence due) {
    if (due == ArmFence::heavy) {
      os::heavy_fence();
    } else {
      fence_after_exchange();
    }
  }
  /// From now on the heavy fence is due again. By the sleeper.
  void say_seldom() const {
    // [S3] relaxed: a ringer that misses it fences for nothing.
    word_->fetch_and(~kOften, std::memory_order_relaxed);
  }

  /// Returns whether nobody has rung since `arm`. By the sleeper.
  [[nodiscard]] bool is_still_armed(Sleeper sleeper) const noexcept {
    // Relaxed: no conclusion but this one. A ring that is missed here is still to signal.
    return (word_->load(std::memory_order_relaxed) & static_cast<std::uint32_t>(sleeper)) != 0;
  }
  /// Takes the arming back: the sleeper is awake, and rings would be needless. Returns false when
  /// one has come already.
  bool disarm(Sleeper sleeper) const {
    const auto bit = static_cast<std::uint32_t>(sleeper);
    // Relaxed: a ringer that misses it rings for nothing.
    return is_still_armed(sleeper) &&
           (word_->fetch_and(~bit, std::memory_order_relaxed) & bit) != 0;
  }

  /// Sleeps until a ring after `arm` returned `ticket`, or until the deadline. May return early:
  /// the caller arms and looks again. Where the heavy fence is broken, a light ring may have missed
  /// the armed bit, so a sleep lasts `kUnfencedSleep` at most.
  os::FutexWait sleep(std::uint32_t ticket, Deadline deadline) const {
    if (os::is_light_fence_broken()) deadline = deadline.within(kUnfencedSleep);
    return os::futex_wait(*word_, ticket, deadline);
  }

  /// After publishing: wakes the sleepers that armed the bell. Returns true when the caller must
  /// signal an event loop by its eventfd as well.
  [[nodiscard]] bool ring(RingFence fence) const {
    const auto seen = look(fence);
    return (seen & kArmed) != 0 && wake(seen);
  }
  /// The first half of `ring`: returns whether there is a sleeper, which a `ring` with the same
  /// fence then wakes.
  [[nodiscard]] bool is_armed(RingFence fence) const noexcept {
    return (look(fence) & kArmed) != 0;
  }
  /// The same with the light fence, for each message: returns false when nobody sleeps here, nor
  /// does so often. Otherwise a `ring` is due.
  [[nodiscard]] bool may_need_ring() const noexcept {
    base::compiler_fence();
    // [R1] as in `look`.
    return (word_->load(std::memory_order_relaxed) & (kArmed | kOften)) != 0;
  }

  /// Wakes all sleepers, armed or not, even thousands: for a change outside shared memory that a
  /// waiter looks at, and for a ringer that died between clearing the bits and waking. For ends,
  /// which come once; not for messages.
  [[nodiscard]] bool ring_always() const {
    base::full_fence();  // as in `look`; partner [S1]
    // Relaxed: only a guess for the exchange, which corrects it.
    const auto has_event_loop = wake(word_->load(std::memory_order_relaxed));
    (void)os::futex_wake(*word_, INT_MAX);
    return has_event_loop;
  }

 private:
  static constexpr std::uint32_t kArmed = 3;
  static constexpr std::uint32_t kOften = 4;
  static constexpr std::uint32_t kOneRing = 8;
  // On x86 a read-modify-write is a full fence already.
  static constexpr bool kExchangeIsFence =
#if defined(__x86_64__) || defined(__i386__)
      true;
#else
      false;
#endif

  [[nodiscard]] std::uint32_t set(std::uint32_t bits, ArmFence fence) const {
    // [S1], [S3] seq_cst, which is as good as relaxed: the fence orders it before the second look;
    // partner [R1].
    const auto before = word_->fetch_or(bits, std::memory_order_seq_cst);
    if (fence != ArmFence::later) fence_armed(fence);
    return before | bits;
  }

  static void fence_after_exchange() {
    if constexpr (kExchangeIsFence) {
      base::compiler_fence();
    } else {
      base::full_fence();
    }
  }

  [[nodiscard]] std::uint32_t look(RingFence fence) const noexcept {
    switch (fence) {
      case RingFence::light:
        base::compiler_fence();
        break;
      case RingFence::after_exchange:
        fence_after_exchange();
        break;
      case RingFence::full:
        base::full_fence();
        break;
    }
    // [R1] relaxed: the fence on one side or the other orders it after the publication; partners
    // [S1], [S3].
    const auto seen = word_->load(std::memory_order_relaxed);
    if (fence != RingFence::light || (seen & (kArmed | kOften)) != kOften) return seen;
    return look(RingFence::full);
  }

  [[gnu::noinline]] bool wake(std::uint32_t seen) const {
    // [R2] relaxed: the kernel compares the word under its own lock. ABA: the sequence.
    while (!word_->compare_exchange_strong(seen, (seen & ~kArmed) + kOneRing,
                                           std::memory_order_relaxed, std::memory_order_relaxed)) {
    }
    constexpr auto kFutex = static_cast<std::uint32_t>(Sleeper::futex);
    if ((seen & kFutex) != 0 && os::futex_wake(*word_, kMostWoken) == kMostWoken) {
      // Relaxed: only says that there may be more, which the next ringer wakes. If there are none,
      // its wake is needless.
      word_->fetch_or(kFutex, std::memory_order_relaxed);
    }
    return (seen & static_cast<std::uint32_t>(Sleeper::event_loop)) != 0;
  }

  base::Atomic<std::uint32_t>* word_;
};

}  // namespace mews::inline MEWS_LAYOUT::sync
