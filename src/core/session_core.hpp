// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "longest_sleep.hpp"
#include "look_timer.hpp"
#include "mews/base/atomic.hpp"
#include "mews/base/deadline.hpp"
#include "mews/base/kept.hpp"
#include "mews/error.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mem/slab_pool.hpp"
#include "mews/options.hpp"
#include "mews/os/wake.hpp"
#include "mews/stats.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/gate.hpp"
#include "owner.hpp"
#include "patience.hpp"

namespace mews::detail {

/// What host and plugin have in common: the arena, this peer's slab pool, and the waiting for
/// free slabs. Loans and messages point here. Any thread.
class SessionCore final : private mem::FreedListener {
 public:
  SessionCore(std::shared_ptr<const mem::Arena> arena, PeerId self, const LocalOptions& local);
  SessionCore(const SessionCore&) = delete;
  SessionCore& operator=(const SessionCore&) = delete;
  ~SessionCore();

  /// A shared pointer: when its last owner is gone, and the last loan and message, the object goes,
  /// and with it the mapping, unless others of this process have that too.
  static std::shared_ptr<SessionCore> make(std::shared_ptr<const mem::Arena> arena, PeerId self,
                                           const LocalOptions& local);

  [[nodiscard]] const mem::Arena& arena() const noexcept { return *arena_; }
  [[nodiscard]] const std::shared_ptr<const mem::Arena>& shared_arena() const noexcept {
    return arena_;
  }
  [[nodiscard]] mem::SlabPool& pool() noexcept { return pool_; }
  [[nodiscard]] PeerId self() const noexcept { return self_; }
  [[nodiscard]] Until until(const Patience& patience) const noexcept {
    return patience.until(local_.default_timeout);
  }
  /// Of a host that has event loops; may be null.
  void set_look_timer(std::unique_ptr<LookTimer> timer) noexcept { look_timer_ = std::move(timer); }
  [[nodiscard]] LookTimer* look_timer() const noexcept { return look_timer_.get(); }
  /// For a thread that is about to sleep for a record or for room: until when at the latest.
  [[nodiscard]] Deadline next_look(Deadline deadline) const noexcept {
    return self_ == kHostPeer ? deadline.within(longest_sleep) : deadline;
  }
  /// How long a waiter of this process may look before it sleeps, by what else wants to run now.
  [[nodiscard]] std::chrono::nanoseconds spin_limit() const noexcept;
  /// Whether a process sits in that peer's seat, as far as its entry says.
  [[nodiscard]] bool is_attached(PeerId peer) const noexcept;
  /// What to add to the news that a peer is idle while it has not attached; otherwise nothing.
  [[nodiscard]] std::string absence_text(PeerId peer) const;
  /// The name in a peer's entry, made printable.
  [[nodiscard]] std::string peer_name(PeerId peer) const;

  /// A slab or run for `bytes`; blocks while it could come free. Errors of `Channel::loan`.
  [[nodiscard]] Result<void> claim(mem::Slab& slab, std::uint64_t bytes, Patience patience);
  /// Whether this is the process that made the session, and not one forked off it.
  [[nodiscard]] bool is_own() const noexcept { return owner_.is_this_process(); }

  /// Slabs that loans and messages of this process have, and one for the session. Counted here and
  /// not read off the truth words, because whoever brings it to zero ends this object, and a peer
  /// may scribble. Relaxed: who lends keeps the session meanwhile.
  void count_out() noexcept { out_.fetch_add(1, std::memory_order_relaxed); }
  void count_in() noexcept {
    // Release: each one's use of the arena, before the last one, who reads all (acquire), ends it.
    if (out_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
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
  [[nodiscard]] Result<void> wait_for_slab(mem::Slab& slab, std::uint64_t bytes,
                                           const Until& until);
  /// Why no claim is to wait any longer.
  [[nodiscard]] std::optional<ErrorCode> why_not_wait() const noexcept;
  [[nodiscard]] ClassId class_to_wait_for(std::uint64_t bytes) const noexcept;
  [[nodiscard]] std::string claim_timeout_text(std::uint64_t bytes, ClassId id,
                                               Deadline::Clock::duration waited,
                                               const std::string& holders) const;
  /// Wakes who may use a slab of `id`.
  void on_freed(ClassId id) noexcept override;

  std::shared_ptr<os::WakeEnd> wake_;  ///< goes after the mapping
  std::shared_ptr<const mem::Arena> arena_;
  std::optional<std::uint32_t> epoch_;  ///< of a plugin's seat
  PeerId self_;
  LocalOptions local_;
  Owner owner_;
  std::unique_ptr<LookTimer> look_timer_;
  unsigned cpus_;
  mem::SlabPool pool_;
  std::array<sync::Gate, layout::kMaxClasses> gates_;
  base::LocalAtomic<int> ended_{-1};
  base::Kept kept_;
  alignas(64) std::atomic<std::uint64_t> out_{1};
};

/// Figures of the whole arena.
[[nodiscard]] Stats stats_of(const SessionCore& session);

}  // namespace mews::detail
