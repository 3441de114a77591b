// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "mews/base/atomic.hpp"
#include "mews/base/inline.hpp"
#include "mews/base/leak.hpp"
#include "mews/base/visible.hpp"
#include "mews/deadline.hpp"
#include "mews/detail/fork_stamp.hpp"
#include "mews/detail/timeout.hpp"
#include "mews/error.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mem/slab_pool.hpp"
#include "mews/options.hpp"
#include "mews/ring/slab_window.hpp"
#include "mews/sync/biased_count.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/gate.hpp"
#include "mews/sync/yielder.hpp"

namespace mews::inline MEWS_LAYOUT::os {
class WakeEnd;
}

namespace mews::inline MEWS_LAYOUT::detail {

class LookTimer;

/// Shared part of host and plugin: the arena, this peer's slab pool, and the waits for free slabs.
/// Loans and messages point here. Any thread.
///
/// word            writer           readers        publish / observe    protects
/// ended_          `end`            waiters        [C1] / [C2] seq_cst  nothing: says "stop"
/// out_            see sync::BiasedCount                                this object's life
/// freed_bells_[]  see sync::Doorbell                                   nothing: says "look again"
///
/// [C1] `end` stores the code, then rings the bells. [C2] a waiter looks after it has armed its
/// bell. Of the two at least one sees the other's write.
class PeerContext final : private mem::FreedListener {
 public:
  PeerContext(std::shared_ptr<const mem::Arena> arena, PeerId self, const LocalOptions& local);
  PeerContext(const PeerContext&) = delete;
  PeerContext& operator=(const PeerContext&) = delete;
  ~PeerContext();

  /// The object lives as long as its last shared pointer, loan or message. The mapping goes with
  /// it, unless another object of this process shares it.
  static std::shared_ptr<PeerContext> make(std::shared_ptr<const mem::Arena> arena, PeerId self,
                                           const LocalOptions& local);

  [[nodiscard]] const mem::Arena& arena() const noexcept { return *arena_; }
  [[nodiscard]] const std::shared_ptr<const mem::Arena>& shared_arena() const noexcept {
    return arena_;
  }
  [[nodiscard]] mem::SlabPool& pool() noexcept { return pool_; }
  [[nodiscard]] PeerId self() const noexcept { return self_; }
  [[nodiscard]] Until until(const Timeout& timeout) const noexcept {
    return timeout.until(local_.default_timeout);
  }
  [[nodiscard]] Until until(const Timeout& timeout,
                            Deadline::Clock::time_point now) const noexcept {
    return timeout.until(local_.default_timeout, now);
  }
  /// For a host, whose event loops need it.
  void set_look_timer(std::unique_ptr<LookTimer> timer) noexcept;
  /// Null in a plugin.
  [[nodiscard]] LookTimer* look_timer() const noexcept { return look_timer_.get(); }
  /// Returns the latest end of one sleep that begins now, for a thread that waits for a record or
  /// for room.
  [[nodiscard]] Deadline next_look(Deadline deadline,
                                   Deadline::Clock::time_point now) const noexcept;
  /// Returns how long a waiter of this process may spin before it sleeps.
  [[nodiscard]] std::chrono::nanoseconds spin_limit() const noexcept { return local_.spin_limit; }
  [[nodiscard]] layout::CpuTurns* turns() const noexcept { return &arena_->pool().turns; }
  /// Returns what a channel may have on its way in slabs, each way out.
  [[nodiscard]] ring::WindowLimits window() const noexcept {
    return {.bytes = local_.window_bytes, .slabs = local_.window_slabs};
  }
  /// When an event loop does not sleep: lets others run, if it is this process's turn.
  void take_turn() {
    if (spin_limit() > std::chrono::nanoseconds::zero()) loop_yielder_.take_turn();
  }
  /// Returns whether a process is in that peer's seat, according to its entry.
  [[nodiscard]] bool is_attached(PeerId peer) const noexcept;
  /// Returns a text to add to an error about an idle peer: that it has not attached yet. Empty if
  /// it has.
  [[nodiscard]] std::string absence_text(PeerId peer) const;
  /// Returns the name in a peer's entry, made printable.
  [[nodiscard]] std::string peer_name(PeerId peer) const;

  /// Claims a slab or run for `bytes`; blocks while one could become free. A caller that keeps it
  /// counts it (`count_out`). Errors of `Channel::loan`.
  [[nodiscard]] Result<void> claim(mem::Slab& slab, std::uint64_t bytes, Timeout timeout,
                                   mem::Purpose purpose = mem::Purpose::ordinary);
  /// Frees a slab or run, wakes the threads that wait for one, and counts it in. Does nothing in a
  /// forked child.
  void release(const mem::Slab& slab) noexcept {
    if (!is_own()) [[unlikely]]
      return;
    if (!pool_.try_release_fast(slab)) [[unlikely]] {
      release_slow(slab);
    } else if (is_awaited(slab.size_class)) [[unlikely]] {
      on_freed(slab.size_class);
    }
    count_in();
  }
  /// Returns whether this process made the session, and is not a fork of the process that did.
  [[nodiscard]] bool is_own() const noexcept { return fork_stamp_.is_this_process(); }

  /// Count the slabs of this process's loans and messages, and one for the session. The truth words
  /// cannot serve for this: the last drop destroys this object, and a peer may scribble on them.
  void count_out() noexcept { out_.add(); }
  /// The slabs that a channel received, less those that it sent: counted inside its roles, where no
  /// atomic operation is needed, and added once, while the channel still keeps this object.
  void count_channel(std::int64_t difference) noexcept { out_.add(difference); }
  void count_in() noexcept {
    if (out_.drop()) [[unlikely]]
      destroy();
  }

  /// Notes that this plugin has its seat. From now on the destructor marks the seat `left`, unmaps,
  /// and then closes `wake`, which tells the host. Once, before other threads know of the seat.
  void sit(std::uint32_t epoch, std::shared_ptr<os::WakeEnd> wake) noexcept {
    epoch_ = epoch;
    wake_ = std::move(wake);
  }

  /// Wakes all waiters of all classes: slabs may have become free, or the session has ended.
  void ring_all_freed() noexcept;

  /// For the host: marks its seat `left` and wakes all waiters for slabs.
  void leave() noexcept;

  /// Ends all waits for slabs: these claims return `why`.
  void end(ErrorCode why) noexcept;
  [[nodiscard]] std::optional<ErrorCode> ended() const noexcept;

 private:
  [[gnu::cold]] MEWS_VISIBLE void destroy() noexcept;
  [[gnu::cold]] MEWS_VISIBLE void release_slow(const mem::Slab& slab) noexcept;
  /// Returns the smallest class whose requests may fall back on a slab of `id`. Such a request
  /// waits at the bell of its own class.
  [[nodiscard]] std::uint32_t first_served(ClassId id) const noexcept {
    return id.value() > fallback_classes_ ? id.value() - fallback_classes_ : 0;
  }
  /// Returns whether anybody waits for a slab of `id`. Call it after a seq_cst exchange freed one.
  [[nodiscard]] bool is_awaited(ClassId id) const noexcept {
    for (auto i = first_served(id); i <= id.value(); ++i) {
      if (gates_[i].has_waiters() ||
          sync::Doorbell(freed_bells_[i]).is_armed(sync::RingFence::after_exchange)) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] Result<void> wait_for_slab(mem::Slab& slab, std::uint64_t bytes, const Until& until,
                                           mem::Purpose purpose);
  /// Returns why no claim may wait any longer.
  [[nodiscard]] std::optional<ErrorCode> why_not_wait() const noexcept;
  [[nodiscard]] ClassId class_to_wait_for(std::uint64_t bytes) const noexcept;
  [[nodiscard]] std::string claim_timeout_text(std::uint64_t bytes, ClassId id,
                                               Deadline::Clock::duration waited,
                                               const std::string& holders) const;
  /// Wakes the waiters that may use a slab of `id`.
  [[gnu::cold]] MEWS_VISIBLE void on_freed(ClassId id) noexcept override;

  std::shared_ptr<os::WakeEnd> wake_;  ///< first member: must be destroyed after the mapping
  std::shared_ptr<const mem::Arena> arena_;
  std::optional<std::uint32_t> epoch_;  ///< of a plugin's seat
  PeerId self_;
  LocalOptions local_;
  ForkStamp fork_stamp_;
  std::unique_ptr<LookTimer> look_timer_;
  sync::Yielder loop_yielder_;
  mem::SlabPool pool_;
  std::uint32_t fallback_classes_;
  base::Atomic<std::uint32_t>* freed_bells_;  ///< one for each class
  std::array<sync::Gate, layout::kMaxClasses> gates_;
  base::LocalAtomic<int> ended_{-1};
  base::LeakedNode leaked_;
  sync::BiasedCount out_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
