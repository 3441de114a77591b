// SPDX-License-Identifier: MIT
#include "host_core.hpp"
#include "mews/os/process.hpp"

// The process of a plugin may go on without the plugin: its session ends, or it calls exec. Then
// all processes that had its end of the channel have closed it, and our end hangs up.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

using layout::PeerState;
using layout::SeatWord;

enum class Parting : std::uint8_t {
  none,    ///< it has not taken its seat
  left,    ///< in good order; it has no mapping any more
  exec,    ///< it runs another program now, without a mapping
  closed,  ///< it has closed its descriptors, but may still use the memory
  dying,   ///< its pidfd reports its death, with the status
};

constexpr const char* kLeft = ": left in good order";

// Acquire: all that it did in the arena before it left; partner: `~PeerContext`.
SeatWord seat_of(const mem::Arena& arena, const PluginProcess& process) noexcept {
  return SeatWord::unpack(arena.peer(process.peer).seat.load(std::memory_order_acquire));
}

bool has_left(const mem::Arena& arena, const PluginProcess& process) noexcept {
  return seat_of(arena, process) == SeatWord{PeerState::left, process.epoch};
}

// Order of an ordinary death: the memory goes, the descriptors close, then the pidfd becomes
// readable. So a process without any memory is dying; a process with memory, but without the arena,
// has called exec.
Parting parting_of(const mem::Arena& arena, const PluginProcess& process) {
  if (has_left(arena, process)) return Parting::left;
  if (os::wait_for_exit(process.watched.get(), std::chrono::seconds(0))) return Parting::dying;
  if (seat_of(arena, process).state == PeerState::invited) return Parting::none;
  const auto use = os::use_of_file(process.pid, arena.file().fd());
  // Again after the look: if it still lives, the look was at this process and not at a successor
  // with its pid.
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
  // A plugin within this process has no pidfd: the hang-up alone reports its end.
  if (!process->watched && !has_left(session_->arena(), *process)) return on_gone(plugin, process);
  // Without the mutex: a look at another process may block on it.
  const auto parting = parting_of(session_->arena(), *process);
  const Lock lock(mutex_);
  if (process->is_dead || process->is_recovered) return;
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

// A new plugin may need the seat of a plugin that has left before the watcher has seen that.
void HostCore::look_for_parted() {
  std::vector<std::shared_ptr<PluginCore>> parted;
  for (const auto& plugin : plugins_) {
    const auto& process = plugin->current;
    if (!process || process->is_dead || process->is_recovered) continue;
    if (has_left(session_->arena(), *process) && os::has_hung_up(process->channel->hang_up_fd())) {
      parted.push_back(plugin);
    }
  }
  for (const auto& plugin : parted)
    part(plugin, plugin->current, plugin->name + kLeft);
}

// Recovers the plugin now. Our own child must still be reaped; for another process this is the end.
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
  announce();
}

}  // namespace mews::inline MEWS_LAYOUT::detail
