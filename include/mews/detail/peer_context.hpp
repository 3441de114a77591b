// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "mews/base/atomic.hpp"
#include "mews/base/leak.hpp"
#include "mews/base/visible.hpp"
#include "mews/deadline.hpp"
#include "mews/detail/fork_stamp.hpp"
#include "mews/detail/timeout.hpp"
#include "mews/error.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mem/slab_pool.hpp"
#include "mews/options.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/gate.hpp"

namespace mews::inline MEWS_LAYOUT::os {
class WakeEnd;
}

namespace mews::inline MEWS_LAYOUT::detail {

class LookTimer;

/// What host and plugin have in common: the arena, this peer's slab pool, and the waiting for
/// free slabs. Loans and messages point here. Any thread.
///
/// word    writer           readers          publish / observe              protects
/// out_    any thread here  any thread here  release, acquire / relaxed     this object's life
/// ended_  `end`            waiters          seq_cst, before the bells      nothing: says "stop"
class PeerContext final : private mem::FreedListener {
 public:
  PeerContext(std::shared_ptr<const mem::Arena> arena, PeerId self, const LocalOptions& local);
  PeerContext(const PeerContext&) = delete;
  PeerContext& operator=(const PeerContext&) = delete;
  ~PeerContext();

  /// A shared pointer: when its last owner is gone, and the last loan and message, the object goes,
  /// and with it the mapping, unless others of this process have that too.
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
  /// Of a host that has event loops; may be null.
  void set_look_timer(std::unique_ptr<LookTimer> timer) noexcept;
  [[nodiscard]] LookTimer* look_timer() const noexcept { return look_timer_.get(); }
  /// For a thread that is about to sleep for a record or for room: until when at the latest.
  [[nodiscard]] Deadline next_look(Deadline deadline) const noexcept;
  /// How long a waiter of this process may look before it sleeps, by what else wants to run now.
  [[nodiscard]] std::chrono::nanoseconds spin_limit() const noexcept;
  /// Whether a process sits in that peer's seat, as far as its entry says.
  [[nodiscard]] bool is_attached(PeerId peer) const noexcept;
  /// What to add to the news that a peer is idle while it has not attached; otherwise nothing.
  [[nodiscard]] std::string absence_text(PeerId peer) const;
  /// The name in a peer's entry, made printable.
  [[nodiscard]] std::string peer_name(PeerId peer) const;

  /// A slab that needs neither a search nor pages nor a wait; false when there is none. Whoever
  /// keeps it counts it (`count_out`).
  [[nodiscard]] bool claim_fast(mem::Slab& slab, std::uint64_t bytes) noexcept {
    return pool_.try_claim_fast(slab, bytes);
  }
  /// A slab or run for `bytes`; blocks while it could come free. Errors of `Channel::loan`.
  [[nodiscard]] Result<void> claim(mem::Slab& slab, std::uint64_t bytes, Timeout timeout);
  /// Gives a slab or run back to the arena and wakes who waits for one; in a forked child nothing.
  /// The slab is no longer counted.
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
  /// Whether this is the process that made the session, and not one forked off it.
  [[nodiscard]] bool is_own() const noexcept { return fork_stamp_.is_this_process(); }

  /// Slabs that loans and messages of this process have, and one for the session. Counted here and
  /// not read off the truth words, because whoever brings it to zero ends this object, and a peer
  /// may scribble. Relaxed: who lends keeps the session meanwhile.
  void count_out() noexcept { out_.fetch_add(1, std::memory_order_relaxed); }
  void count_in() noexcept {
    // Release: each one's use of the arena, before the last one, who reads all (acquire), ends it.
    if (out_.fetch_sub(1, std::memory_order_acq_rel) == 1) [[unlikely]]
      destroy();
  }

  /// A plugin has taken its seat: the end of this object says in the arena that it has left,
  /// unmaps, and then, by closing `wake`, tells the host. Once, before other threads know of the
  /// seat.
  void sit(std::uint32_t epoch, std::shared_ptr<os::WakeEnd> wake) noexcept {
    epoch_ = epoch;
    wake_ = std::move(wake);
  }

  /// Slabs of any class may have become free, or the session has ended: everybody looks again.
  void ring_all_freed() noexcept;

  /// Of the host: its entry says that it has left, and whoever waits for a slab is told.
  void leave() noexcept;

  /// No claim waits any longer; `why` is what they return.
  void end(ErrorCode why) noexcept;
  [[nodiscard]] std::optional<ErrorCode> ended() const noexcept;

 private:
  [[gnu::cold]] MEWS_VISIBLE void destroy() noexcept;
  [[gnu::cold]] MEWS_VISIBLE void release_slow(const mem::Slab& slab) noexcept;
  /// A request of a smaller class may fall back on a slab of `id`: who waits for it waits there.
  [[nodiscard]] std::uint32_t first_served(ClassId id) const noexcept {
    return id.value() > fallback_classes_ ? id.value() - fallback_classes_ : 0;
  }
  /// After a slab of `id` was freed by a seq_cst exchange: whether anybody waits for one.
  [[nodiscard]] bool is_awaited(ClassId id) const noexcept {
    for (auto i = first_served(id); i <= id.value(); ++i) {
      if (gates_[i].has_waiters() ||
          sync::Doorbell(freed_bells_[i]).is_armed(sync::RingFence::after_exchange)) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] Result<void> wait_for_slab(mem::Slab& slab, std::uint64_t bytes,
                                           const Until& until);
  /// Why no claim is to wait any longer.
  [[nodiscard]] std::optional<ErrorCode> why_not_wait() const noexcept;
  [[nodiscard]] ClassId class_to_wait_for(std::uint64_t bytes) const noexcept;
  [[nodiscard]] std::string claim_timeout_text(std::uint64_t bytes, ClassId id,
                                               Deadline::Clock::duration waited,
                                               const std::string& holders) const;
  /// Wakes who may use a slab of `id`.
  [[gnu::cold]] MEWS_VISIBLE void on_freed(ClassId id) noexcept override;

  std::shared_ptr<os::WakeEnd> wake_;  ///< goes after the mapping
  std::shared_ptr<const mem::Arena> arena_;
  std::optional<std::uint32_t> epoch_;  ///< of a plugin's seat
  PeerId self_;
  LocalOptions local_;
  ForkStamp fork_stamp_;
  std::unique_ptr<LookTimer> look_timer_;
  unsigned cpus_;
  mem::SlabPool pool_;
  std::uint32_t fallback_classes_;
  base::Atomic<std::uint32_t>* freed_bells_;  ///< one for each class
  std::array<sync::Gate, layout::kMaxClasses> gates_;
  base::LocalAtomic<int> ended_{-1};
  base::LeakedNode leaked_;
  alignas(64) std::atomic<std::uint64_t> out_{1};
};

}  // namespace mews::inline MEWS_LAYOUT::detail
