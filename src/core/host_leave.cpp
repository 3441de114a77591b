// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "death.hpp"
#include "host_core.hpp"
#include "mews/os/process.hpp"

// The process of a plugin may go on without the plugin: its session ends, or it replaces itself by
// exec. Its end of the channel is closed then, in all processes that had it, and ours hangs up.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

using layout::PeerState;
using layout::SeatWord;

enum class Parting : std::uint8_t {
  none,    ///< it has not sat down
  left,    ///< in good order; it has no mapping any more
  exec,    ///< it is another program by now, without a mapping
  closed,  ///< it has closed its descriptors, but may still use the memory
  dying,   ///< its end is reported by another descriptor, with how it ended
};

constexpr const char* kLeft = ": left in good order";

// Acquire: what it did in the arena before it left.
SeatWord seat_of(const mem::Arena& arena, const PluginProcess& process) noexcept {
  return SeatWord::unpack(arena.peer(process.peer).seat.load(std::memory_order_acquire));
}

bool has_left(const mem::Arena& arena, const PluginProcess& process) noexcept {
  return seat_of(arena, process) == SeatWord{PeerState::left, process.epoch};
}

// Order of an ordinary death: memory, descriptors, and then the pidfd is readable. So a process
// without any memory is dying; one with memory, but not the arena's, has called exec.
Parting parting_of(const mem::Arena& arena, const PluginProcess& process) {
  if (has_left(arena, process)) return Parting::left;
  if (os::wait_for_exit(process.watched.get(), std::chrono::seconds(0))) return Parting::dying;
  if (seat_of(arena, process).state == PeerState::invited) return Parting::none;
  const auto use = os::use_of_file(process.pid, arena.file().fd());
  // After the look: what was looked at was this process.
  if (os::wait_for_exit(process.watched.get(), std::chrono::seconds(0))) return Parting::dying;
  switch (use) {
    case os::FileUse::no_memory:
      return Parting::dying;
    case os::FileUse::not_mapped:
      return Parting::exec;
    case os::FileUse::mapped:
    case os::FileUse::unknown:
      break;
  }
  return Parting::closed;
}

}  // namespace

Result<void> HostCore::watch_hang_up(const std::shared_ptr<PluginCore>& plugin,
                                     const std::shared_ptr<PluginProcess>& process) {
  auto id = reactor_->add_hang_up(process->channel->hang_up_fd(),
                                  [this, plugin, process] { on_hung_up(plugin, process); });
  if (!id) return tl::unexpected(std::move(id.error()));
  process->hang_up_id = *id;
  return {};
}

void HostCore::on_hung_up(const std::shared_ptr<PluginCore>& plugin,
                          const std::shared_ptr<PluginProcess>& process) {
  // Within this process there is nothing else to tell of its end.
  if (!process->watched && !has_left(session_->arena(), *process)) return on_gone(plugin, process);
  // Not with the mutex held: looking at another process may wait for it.
  const auto parting = parting_of(session_->arena(), *process);
  const Lock lock(mutex_);
  if (process->is_dead || process->is_taken_back) return;
  switch (parting) {
    case Parting::none:
    case Parting::dying:
      return;
    case Parting::closed:
      process->channel->end(ErrorCode::peer_died, plugin->name + ": closed its end of the channel");
      return;
    case Parting::left:
      return part(plugin, process, plugin->name + kLeft);
    case Parting::exec:
      return part(plugin, process, plugin->name + ": replaced itself by exec");
  }
}

// Whoever needs a seat need not wait until the watcher has come to those that left.
void HostCore::look_for_parted() {
  std::vector<std::shared_ptr<PluginCore>> parted;
  for (const auto& plugin : plugins_) {
    const auto& process = plugin->current;
    if (!process || process->is_dead || process->is_taken_back) continue;
    if (has_left(session_->arena(), *process) && os::has_hung_up(process->channel->hang_up_fd())) {
      parted.push_back(plugin);
    }
  }
  for (const auto& plugin : parted)
    part(plugin, plugin->current, plugin->name + kLeft);
}

// All that it had comes back now. A child of ours is still to be reaped; of another process nothing
// more is to be learnt.
void HostCore::part(const std::shared_ptr<PluginCore>& plugin,
                    const std::shared_ptr<PluginProcess>& process, std::string how) {
  recover(*process, how);
  if (!plugin->is_spawned) {
    reactor_->remove(process->watch_id);
    process->is_dead = true;
    process->how = how;
    process->exit = PluginExit{.name = plugin->name,
                               .is_signal = false,
                               .number = -1,
                               .will_restart = false,
                               .gave_up = false,
                               .description = std::move(how)};
    std::erase(plugins_, plugin);
  }
  collect_seats();
  announce();
}

// Once for each process, whatever tells first that it is over.
void HostCore::recover(PluginProcess& process, const std::string& how) {
  if (process.is_taken_back) return;
  process.is_taken_back = true;
  reactor_->remove(process.hang_up_id);
  recover_plugin(*session_, *process.channel, process.epoch, how);
  retired_.push_back(process.shared_from_this());
}

}  // namespace mews::inline MEWS_LAYOUT::detail
