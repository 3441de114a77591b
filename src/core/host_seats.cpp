// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "host_core.hpp"

// Seats: peer entries and lanes are given out, wiped, and given out again. Only the host does so,
// and only while no process is in the seat.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

using layout::PeerState;
using layout::SeatWord;

constexpr auto relaxed = std::memory_order_relaxed;

// Relaxed throughout: the next process is started, or gets its invitation, afterwards.
void reset_lane(const mem::Arena& arena, LaneId id) noexcept {
  auto& lane = arena.lane(id);
  lane.head.store(0, relaxed);
  lane.consumer_role.store(0, relaxed);
  lane.producer_role.store(0, relaxed);
  lane.data_bell.store(0, relaxed);
  lane.reader_left.store(0, relaxed);
  lane.space_bell.store(0, relaxed);
  for (auto& cell : arena.cells(id))
    cell.mark.store(0, relaxed);
  for (auto& word : arena.calls_taken(id).words)
    word.store(0, relaxed);
}

}  // namespace

void HostCore::reset_seat(PeerId peer) noexcept {
  const auto& arena = session_->arena();
  const auto channel = channel_of(peer);
  reset_lane(arena, lane_to_plugin(channel));
  reset_lane(arena, lane_to_host(channel));
}

Result<void> HostCore::check_room() {
  look_for_parted();
  // A child of ours that has left must still be reaped, but needs no seat.
  const auto running = std::count_if(plugins_.begin(), plugins_.end(), [](const auto& plugin) {
    const auto& process = plugin->current;
    return process == nullptr || !process->is_recovered || process->exit;
  });
  if (static_cast<std::size_t>(running) + reserved_ < max_plugins_) {
    plugins_.reserve(plugins_.size() + reserved_ + 1);  // so that `push_back` cannot fail later
    return {};
  }
  return fail(ErrorCode::too_many_peers,
              fmt::format("all {} plugins (max_plugins) are running", max_plugins_));
}

Result<std::shared_ptr<PluginProcess>> HostCore::invite(const std::string& name) {
  const auto free =
      std::find_if(seats_.begin(), seats_.end(), [](const auto& seat) { return !seat.is_taken; });
  if (free == seats_.end()) {
    return fail(ErrorCode::too_many_peers,
                "handles of ended plugins still hold the other seats: drop these handles");
  }
  const PeerId peer{static_cast<std::uint32_t>(free - seats_.begin())};
  auto wake = os::make_wake_pair();
  if (!wake) return tl::unexpected(std::move(wake.error()));

  const auto& arena = session_->arena();
  const auto channel = channel_of(peer);
  for (const auto lane : {lane_to_plugin(channel), lane_to_host(channel)}) {
    auto ready = arena.open_cells(lane);
    // /dev/shm can be full. Memory that is written unasked must be committed, or SIGBUS follows.
    if (ready && is_named_) ready = arena.commit_cells(lane);
    if (!ready) return tl::unexpected(std::move(ready.error()));
  }
  // Each process that runs may come to be unburied: that is not to fail for want of memory.
  unburied_.reserve(unburied_.size() + plugins_.size() + starts_ + 1);
  auto process = std::make_shared<PluginProcess>();
  process->peer = peer;
  process->epoch = free->epoch + 1;
  process->began = Deadline::Clock::now();
  process->channel = std::make_shared<ChannelCore>(session_, peer, std::move(wake->host));
  process->wake = std::move(wake->plugin);

  // Nothing fails from here on.
  process->has_seat = true;
  if (free->is_used) reset_seat(peer);
  free->is_taken = free->is_used = true;
  ++free->epoch;
  // Relaxed: a figure. The host gives out the lowest free seat, so the used seats come first.
  auto& used = arena.peer(kHostPeer).seats_used;
  used.store(std::max(used.load(relaxed), peer.value() + 1), relaxed);
  auto& entry = arena.peer(peer);
  // Relaxed, all: published with the seat, below.
  entry.pid.store(0, relaxed);
  entry.start_time.store(0, relaxed);
  entry.fences.store(0, relaxed);
  std::memset(entry.name, 0, sizeof entry.name);
  std::memcpy(entry.name, name.data(), std::min(name.size(), sizeof entry.name - 1));
  arena.lane(lane_to_plugin(channel)).producer_role.store(kHostPeer.value() + 1, relaxed);
  arena.lane(lane_to_host(channel)).consumer_role.store(kHostPeer.value() + 1, relaxed);
  // Release: the entry above; partner: the acquire in `take_seat`, in the invited process.
  entry.seat.store(SeatWord{PeerState::invited, free->epoch}.pack(), std::memory_order_release);
  return process;
}

SeatOffer HostCore::seat_of(const PluginProcess& process) const noexcept {
  return {.peer = process.peer,
          .epoch = process.epoch,
          .arena = session_->arena().file().fd(),
          .host_pidfd = own_pidfd_.get(),
          .stream = process.wake.stream.get(),
          .event = process.wake.event.get()};
}

bool HostCore::withdraw(const std::shared_ptr<PluginCore>& plugin) noexcept {
  auto& process = *plugin->current;
  auto invited = SeatWord{PeerState::invited, process.epoch}.pack();
  // Relaxed: on success the process has written nothing. ABA: the epoch.
  if (!session_->arena()
           .peer(process.peer)
           .seat.compare_exchange_strong(invited, SeatWord{PeerState::vacant, process.epoch}.pack(),
                                         relaxed, relaxed)) {
    return false;
  }
  reactor_->remove(process.watch_id);
  reactor_->remove(process.hang_up_id);
  abandon(process);
  std::erase(plugins_, plugin);
  return true;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
