// SPDX-License-Identifier: MIT
#include "recovery.hpp"

#include <span>

#include "host_core.hpp"
#include "mews/mem/reclaim.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

using layout::PeerState;
using layout::SeatWord;

namespace {

void reclaim_slabs(PeerContext& context, PeerId plugin,
                   std::span<const mem::SlabHandle> published) noexcept {
  mem::reclaim(context.arena(), {.peer = plugin,
                                 .from_it = lane_to_host(channel_of(plugin)),
                                 .to_it = lane_to_plugin(channel_of(plugin)),
                                 .published = published});
  context.ring_all_freed();
}

}  // namespace

// Order matters: first `end`, so that nobody sends to the plugin any more; then its slabs are
// freed; then the waiters for slabs look again.
void recover_plugin(PeerContext& context, ChannelCore& channel, std::uint32_t epoch,
                    const std::string& how) {
  const auto& arena = context.arena();
  const auto plugin = channel.other();
  const SeatWord left{PeerState::left, epoch};
  const SeatWord dead{PeerState::dead, epoch};
  // Relaxed: publishes nothing; and the process is gone, so nothing it wrote is still on its way.
  const auto before = arena.peer(plugin).seat.exchange(dead.pack(), std::memory_order_relaxed);
  const bool has_left = before == left.pack();
  channel.end(has_left ? ErrorCode::closed : ErrorCode::peer_died, how);
  const auto published = channel.published();
  reclaim_slabs(context, plugin, published);
}

void vacate_seat(PeerContext& context, PeerId plugin, std::uint32_t epoch) noexcept {
  reclaim_slabs(context, plugin, {});
  // Release: a reader that finds the seat vacant finds all its slabs freed. That is for other
  // readers of the arena: the host itself goes by `seats_`, under its mutex.
  context.arena().peer(plugin).seat.store(SeatWord{PeerState::vacant, epoch}.pack(),
                                          std::memory_order_release);
}

void on_host_death(PeerContext& context, ChannelCore& channel, ErrorCode why) {
  context.end(why);
  channel.end(why, {});
}

// Once for each process: several descriptors may report its end.
void HostCore::recover(PluginProcess& process, const std::string& how) {
  // A seat that was given up has nothing to recover, and may be another process's by now.
  if (process.is_recovered || !process.has_seat) return;
  process.is_recovered = true;
  reactor_->remove(process.hang_up_id);
  recover_plugin(*session_, *process.channel, process.epoch, how);
  if (process.leases == 0) vacate(process);
}

HostCore::ChannelLease::~ChannelLease() {
  if (!process_ || !process_->owner.is_this_process()) return;
  const auto host = host_.lock();
  if (!host) {
    process_->channel->leave();
    return;
  }
  const Lock lock(host->mutex_);
  if (--process_->leases > 0) return;
  process_->channel->leave();
  if (process_->is_recovered) host->vacate(*process_);
}

void HostCore::ChannelLease::begin(HostCore& host, std::shared_ptr<PluginProcess> process) {
  host_ = host.weak_from_this();
  process_ = std::move(process);
  ++process_->leases;
}

// Nobody receives from the channel now: each lease has ended, or none was handed out.
void HostCore::vacate(PluginProcess& process) noexcept {
  if (!process.has_seat) return;
  process.has_seat = false;
  // A user of the channel must not touch the lanes of the next process. An earlier reason stays.
  process.channel->end(ErrorCode::closed, {});
  if (process.leases == 0) process.channel.reset();
  vacate_seat(*session_, process.peer, process.epoch);
  seats_[process.peer.value()].is_taken = false;
}

void HostCore::abandon(PluginProcess& process) noexcept {
  process.is_dead = true;
  vacate(process);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
