// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "host_core.hpp"
#include "mews/mem/reclaim.hpp"
#include "mews/os/event_fd.hpp"

// Peer entries and lanes: given out, wiped, given out again. Only the host writes here, and only
// while no process sits there.
namespace mews::detail {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// Relaxed throughout: the process that comes next is started, or sent its invitation, afterwards.
void reset_lane(const mem::Arena& arena, LaneId id) noexcept {
  auto& lane = arena.lane(id);
  lane.head.store(0, relaxed);
  lane.consumer_role.store(0, relaxed);
  lane.producer_role.store(0, relaxed);
  lane.data_bell.store(0, relaxed);
  lane.space_bell.store(0, relaxed);
  for (auto& cell : arena.cells(id))
    cell.mark.store(0, relaxed);
}

}  // namespace

void HostCore::reset_seat(PeerId peer) noexcept {
  const auto& arena = session_->arena();
  const auto channel = channel_of(peer);
  reset_lane(arena, lane_to_plugin(channel));
  reset_lane(arena, lane_to_host(channel));
}

Result<void> HostCore::check_room() const {
  if (plugins_.size() < max_plugins_) return {};
  return fail(ErrorCode::too_many_peers,
              fmt::format("max_plugins is {}, and so many are running", max_plugins_));
}

Result<std::shared_ptr<PluginProcess>> HostCore::invite(const std::string& name) {
  collect_seats();
  const auto free = std::find(taken_.begin(), taken_.end(), false);
  if (free == taken_.end()) {
    return fail(ErrorCode::too_many_peers,
                "the handles of plugins that ended still hold theirs: drop them");
  }
  const PeerId peer{static_cast<std::uint32_t>(free - taken_.begin())};
  auto plugin_event = os::make_event_fd();
  if (!plugin_event) return tl::unexpected(std::move(plugin_event.error()));
  auto host_event = os::make_event_fd();
  if (!host_event) return tl::unexpected(std::move(host_event.error()));

  const auto& arena = session_->arena();
  const auto channel = channel_of(peer);
  if (!named_.empty()) {
    // /dev/shm can be full; what is written without asking must be there.
    for (const auto lane : {lane_to_plugin(channel), lane_to_host(channel)}) {
      if (auto backed = arena.commit_cells(lane); !backed) {
        return tl::unexpected(std::move(backed.error()));
      }
    }
  }
  if (used_[peer.value()]) reset_seat(peer);
  taken_[peer.value()] = used_[peer.value()] = true;
  auto& entry = arena.peer(peer);
  entry.epoch.store(entry.epoch.load(relaxed) + 1, relaxed);
  entry.pid.store(0, relaxed);
  entry.start_time.store(0, relaxed);
  entry.fences.store(0, relaxed);
  std::memset(entry.name, 0, sizeof entry.name);
  std::memcpy(entry.name, name.data(), std::min(name.size(), sizeof entry.name - 1));
  arena.lane(lane_to_plugin(channel)).producer_role.store(kHostPeer.value() + 1, relaxed);
  arena.lane(lane_to_host(channel)).consumer_role.store(kHostPeer.value() + 1, relaxed);
  // Release: the entry above, before the process that reads it.
  entry.state.store(static_cast<std::uint32_t>(layout::PeerState::invited),
                    std::memory_order_release);

  auto process = std::make_shared<PluginProcess>();
  process->peer = peer;
  process->began = Deadline::Clock::now();
  const auto duplicate = [](const os::UniqueFd& fd) {
    return os::UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  };
  process->channel = std::make_shared<ChannelCore>(
      session_, peer,
      ChannelEvents{.own = duplicate(*host_event), .other = duplicate(*plugin_event)});
  process->plugin_event = std::move(*plugin_event);
  process->host_event = std::move(*host_event);
  return process;
}

Seat HostCore::seat_of(const PluginProcess& process) const noexcept {
  return {.peer = process.peer,
          .epoch = session_->arena().peer(process.peer).epoch.load(relaxed),
          .arena = session_->arena().file().fd(),
          .host_pidfd = own_pidfd_.get(),
          .plugin_event = process.plugin_event.get(),
          .host_event = process.host_event.get()};
}

// The process is gone, and nobody can receive from its channel any more: what it had published
// goes back as well, and the seat is free.
void HostCore::vacate(const PluginProcess& process) noexcept {
  const auto channel = channel_of(process.peer);
  mem::reclaim(session_->arena(), {.peer = process.peer,
                                   .from_it = lane_to_host(channel),
                                   .to_it = lane_to_plugin(channel),
                                   .published = {}});
  session_->ring_all_freed();
  session_->arena()
      .peer(process.peer)
      .state.store(static_cast<std::uint32_t>(layout::PeerState::vacant),
                   std::memory_order_release);
  taken_[process.peer.value()] = false;
}

void HostCore::collect() {
  const Lock lock(mutex_);
  collect_seats();
}

void HostCore::collect_seats() {
  std::erase_if(retired_, [this](const std::shared_ptr<PluginProcess>& process) {
    // One: ours. No new owner can come into being, so it stays one.
    if (process->channel.use_count() > 1) return false;
    vacate(*process);
    process->channel.reset();
    return true;
  });
}

}  // namespace mews::detail
