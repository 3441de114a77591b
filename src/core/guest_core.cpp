// SPDX-License-Identifier: MIT
#include "guest_core.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "mews/os/membarrier.hpp"
#include "mews/os/process.hpp"
#include "recovery.hpp"

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

using layout::PeerState;
using layout::SeatWord;

// Only the process that the host started may take the seat. The host watches that process alone:
// when it ends, the host reclaims the seat and the slabs, even if another process uses them. The
// host enters the pid as soon as it knows the number.
Result<void> check_is_started(const layout::PeerEntry& entry, int host_pidfd, Deadline deadline) {
  const auto self = static_cast<std::uint32_t>(::getpid());
  for (;;) {
    // Relaxed: the number alone matters.
    const auto started = entry.pid.load(std::memory_order_relaxed);
    if (started == self) return {};
    if (started != 0) {
      return fail(ErrorCode::no_such_arena,
                  fmt::format("the host started process {}, this is process {}: spawn this "
                              "program directly, or let the wrapper `exec` it, or attach by "
                              "socket or name",
                              started, self));
    }
    if (deadline.has_passed())
      return fail(ErrorCode::not_ready, "the host has not entered this process's pid");
    const Deadline pause(std::chrono::milliseconds(1));
    if (os::wait_for_exit(host_pidfd, pause)) return fail(ErrorCode::host_died);
  }
}

Result<void> check_seat(const mem::Arena& arena, PeerId peer) {
  if (peer != kHostPeer && peer.value() < arena.geometry().peer_capacity) return {};
  return fail(ErrorCode::bad_geometry,
              fmt::format("seat {} is not one of the {} seats for plugins", peer.value(),
                          arena.geometry().peer_capacity - 1));
}

// Takes the offered seat, unless the offer is out of date, and both roles, unless another process
// has them. Each is one compare-exchange.
Result<void> take_seat(const mem::Arena& arena, const Invitation& invitation) {
  auto& entry = arena.peer(invitation.peer);
  auto invited = SeatWord{PeerState::invited, invitation.epoch}.pack();
  // Acquire: the entry as the host wrote it; partner: `HostCore::invite`. ABA: the epoch.
  if (!entry.seat.compare_exchange_strong(invited,
                                          SeatWord{PeerState::attached, invitation.epoch}.pack(),
                                          std::memory_order_acquire, std::memory_order_relaxed)) {
    return fail(ErrorCode::closed, "the invitation was already used or withdrawn");
  }
  const auto channel = channel_of(invitation.peer);
  std::uint32_t vacant = 0;
  const auto take_role = [&](base::Atomic<std::uint32_t>& role) {
    // Relaxed: the exchange alone decides which process has the role. ABA: only the host writes 0,
    // while no process is in the seat.
    return role.compare_exchange_strong(vacant, invitation.peer.value() + 1,
                                        std::memory_order_relaxed, std::memory_order_relaxed);
  };
  if (!take_role(arena.lane(lane_to_host(channel)).producer_role) ||
      !take_role(arena.lane(lane_to_plugin(channel)).consumer_role)) {
    return fail(ErrorCode::concurrent_use,
                fmt::format("peer {} has this end of the channel already", vacant - 1));
  }
  // Relaxed, both: they protect nothing.
  entry.pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
  entry.start_time.store(os::process_start_time(::getpid()).value_or(0), std::memory_order_relaxed);
  // Release: the registration before it. Partner: `ChannelCore::fence` in the host, which may use
  // the light fence from then on.
  entry.fences.store(os::has_light_fence() ? 1 : 0, std::memory_order_release);
  return {};
}

}  // namespace

Result<void> GuestCore::watch_host() {
  auto watching = reactor_->add(
      host_pidfd_.get(), [this] { on_host_death(*session_, *channel_, ErrorCode::host_died); });
  if (watching) watching = reactor_->add_hang_up(channel_->hang_up_fd(), [this] { on_hung_up(); });
  if (!watching) return tl::unexpected(std::move(watching.error()));
  return {};
}

// The host's end is closed: the host has ended its session, has called exec, or is dying.
void GuestCore::on_hung_up() {
  // Acquire: all that the host did in the arena before it left; partner: `PeerContext::leave`.
  const auto seat = session_->arena().peer(kHostPeer).seat.load(std::memory_order_acquire);
  const bool has_left = SeatWord::unpack(seat).state == PeerState::left;
  on_host_death(*session_, *channel_, has_left ? ErrorCode::closed : ErrorCode::host_died);
}

Result<std::unique_ptr<GuestCore>> GuestCore::join(Invitation invitation,
                                                   std::shared_ptr<const mem::Arena> within,
                                                   const LocalOptions& local, Deadline deadline) {
  const bool is_within = within != nullptr;
  auto arena = std::move(within);
  if (!arena) {
    auto attached = mem::Arena::attach(std::move(invitation.arena), deadline);
    if (!attached) return tl::unexpected(std::move(attached.error()));
    if (auto is_there = check_seat(*attached, invitation.peer); !is_there) {
      return tl::unexpected(std::move(is_there.error()));
    }
    if (auto is_protected = attached->protect(invitation.peer); !is_protected) {
      return tl::unexpected(std::move(is_protected.error()));
    }
    arena = std::make_shared<const mem::Arena>(std::move(*attached));
  }
  // The seat comes last: after an earlier failure the same invitation still works.
  std::unique_ptr<GuestCore> guest(new GuestCore);
  guest->session_ = PeerContext::make(std::move(arena), invitation.peer, local);
  const std::shared_ptr wake = os::plugin_wake_end(std::move(invitation.wake));
  guest->channel_ = std::make_shared<ChannelCore>(guest->session_, invitation.peer, wake);
  guest->host_pidfd_ = std::move(invitation.host_pidfd);
  // Before the reactor's thread starts: a registration takes 2 us in a process with one thread, and
  // 6 to 10 ms with more.
  (void)os::register_light_fence();
  auto reactor = Reactor::make(local.watcher);
  if (!reactor) return tl::unexpected(std::move(reactor.error()));
  guest->reactor_ = std::move(*reactor);
  if (!is_within) {  // a host in this very process does not die before its guest
    if (auto watching = guest->watch_host(); !watching) {
      return tl::unexpected(std::move(watching.error()));
    }
  }
  const auto& entry = guest->session_->arena().peer(invitation.peer);
  Result<void> seated;
  if (invitation.is_spawned) {
    seated = check_is_started(entry, guest->host_pidfd_.get(), deadline);
  }
  if (seated) seated = take_seat(guest->session_->arena(), invitation);
  if (!seated) return tl::unexpected(std::move(seated.error()));
  guest->session_->sit(invitation.epoch, wake);
  guest->is_seated_ = true;
  return guest;
}

GuestCore::~GuestCore() {
  if (reactor_) reactor_->stop();
  // The seat stays ours while a loan, message or sender is left: the end of the last one gives it
  // up (`~PeerContext`).
  if (is_seated_) channel_->leave();
}

}  // namespace mews::inline MEWS_LAYOUT::detail
