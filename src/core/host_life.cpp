// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "host_core.hpp"
#include "look_timer.hpp"
#include "mews/os/process.hpp"
#include "texts.hpp"
#include "wake_on_stop.hpp"

// Processes end. The kernel reports a death by a descriptor that becomes readable. The thread that
// dispatches the reactor does everything that follows.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

using layout::PeerState;
using layout::SeatWord;
using std::chrono::milliseconds;

// An attached debugger gets the status of a process first. The host waits this long for the status
// before it reports it as unknown. After that it asks at long intervals, so that no zombie stays.
constexpr std::chrono::seconds kUntilUnknown{2};
constexpr milliseconds kLongestAsk{100};
constexpr std::chrono::seconds kSilentAsk{5};

std::string how_text(const PluginCore& plugin, const PluginProcess& process,
                     const std::optional<os::ExitStatus>& status) {
  auto text = plugin.name + ": ";
  if (status) {
    text += status->describe();
  } else {
    text += "gone";
  }
  if (!status && plugin.is_spawned) {
    text += os::is_reapable(process.watched.get())
                ? ", how it ended is not known: a debugger that is attached to it has its status"
                : ", how it ended is not known: SIGCHLD is ignored, or the program reaped it";
  }
  if (!plugin.is_spawned || process.has_attached) return text;
  text += ", without having attached";
  if (status && !status->is_signal && status->number == 0) {
    text += ": does its program call Session::attach?";
  }
  return text;
}

}  // namespace

Result<void> HostCore::watch_process(const std::shared_ptr<PluginCore>& plugin,
                                     const std::shared_ptr<PluginProcess>& process) try {
  if (process->watched) {
    auto id = reactor_->add(process->watched.get(),
                            [this, plugin, process] { on_gone(plugin, process); });
    if (!id) return tl::unexpected(std::move(id.error()));
    process->watch_id = *id;
  }
  auto hang_up = watch_hang_up(plugin, process);
  if (!hang_up) reactor_->remove(process->watch_id);
  return hang_up;
} catch (const std::bad_alloc&) {
  reactor_->remove(process->watch_id);
  return fail(ErrorCode::out_of_memory);
}

// Recovers the plugin at once, even if its status is not known yet.
void HostCore::on_gone(const std::shared_ptr<PluginCore>& plugin,
                       const std::shared_ptr<PluginProcess>& process) {
  Lock lock(mutex_);
  if (process->is_dead) return;
  reactor_->remove(process->watch_id);
  // Relaxed: it is dead, so the word does not change any more.
  process->has_attached =
      session_->arena().peer(process->peer).seat.load(std::memory_order_relaxed) !=
      SeatWord{PeerState::invited, process->epoch}.pack();
  // This session may reap only its own children.
  const auto status =
      plugin->is_spawned ? os::reap(process->watched.get()) : std::optional<os::ExitStatus>{};
  process->how = how_text(*plugin, *process, status);
  recover(*process, process->how);
  process->is_dead = true;
  process->died = Deadline::Clock::now();
  const bool is_to_come = !status && plugin->is_spawned && os::is_reapable(process->watched.get());
  if (is_to_come && ask_later(plugin, process)) {
    lock.unlock();
    announce();
    return;
  }
  conclude(std::move(lock), plugin, process, status);
}

bool HostCore::ask_later(const std::shared_ptr<PluginCore>& plugin,
                         const std::shared_ptr<PluginProcess>& process) {
  const auto delay = process->exit ? milliseconds(kSilentAsk) : process->status_delay;
  process->status_delay = std::min(2 * process->status_delay, kLongestAsk);
  return process->status_timer
      .set(*reactor_, delay, [this, plugin, process] { ask_status(plugin, process); })
      .has_value();
}

void HostCore::ask_status(const std::shared_ptr<PluginCore>& plugin,
                          const std::shared_ptr<PluginProcess>& process) {
  Lock lock(mutex_);
  if (!process->status_timer.is_set()) return;
  process->status_timer.clear(*reactor_);
  const auto status = os::reap(process->watched.get());
  const bool is_to_come = !status && os::is_reapable(process->watched.get());
  if (process->exit) {  // reported already: only the zombie is left
    if (!is_to_come) std::erase(unburied_, process);
    if (is_to_come) (void)ask_later(plugin, process);
    return;
  }
  const bool is_late = Deadline::Clock::now() - process->died > kUntilUnknown;
  if (is_to_come && !is_late && ask_later(plugin, process)) return;
  conclude(std::move(lock), plugin, process, status);
}

void HostCore::conclude(Lock lock, const std::shared_ptr<PluginCore>& plugin,
                        const std::shared_ptr<PluginProcess>& process,
                        const std::optional<os::ExitStatus>& status) {
  process->how = how_text(*plugin, *process, status);
  PluginExit exit{.name = plugin->name,
                  .is_signal = status && status->is_signal,
                  .number = status ? status->number : -1,
                  .will_restart = false,
                  .gave_up = false,
                  .description = process->how};
  plan_restart(plugin, exit, process->died - process->began);
  process->exit = exit;
  if (!status && plugin->is_spawned && os::is_reapable(process->watched.get())) {
    unburied_.push_back(process);
    (void)ask_later(plugin, process);  // on an error `~HostCore` hands it over to be reaped
  }
  const bool is_due_now = exit.will_restart && plugin->delay.count() == 0;
  if (!exit.will_restart) std::erase(plugins_, plugin);
  lock.unlock();
  announce();
  if (plugin->options.on_exit) plugin->options.on_exit(exit);
  if (is_due_now) restart(plugin);
}

Result<void> HostCore::watch_loops() {
  auto timer = LookTimer::make();
  if (!timer) return tl::unexpected(std::move(timer.error()));
  auto id = reactor_->add((*timer)->fd(), [this] { look_for_loops(); });
  if (!id) return tl::unexpected(std::move(id.error()));
  look_id_ = *id;
  session_->set_look_timer(std::move(*timer));
  return {};
}

void HostCore::look_for_loops() {
  auto& timer = *session_->look_timer();
  timer.rest();
  bool is_any_armed = false;
  {
    const Lock lock(mutex_);
    for (const auto& plugin : plugins_) {
      const auto* process = plugin->current.get();
      if (process == nullptr || !process->channel) continue;
      is_any_armed |= process->channel->look_for_loop();
    }
  }
  if (is_any_armed) timer.start();
  reactor_->rearm(look_id_);
}

bool HostCore::wait(Lock& lock, const Until& until, const std::function<bool()>& is_done) {
  const auto deadline = until.deadline;
  while (!is_done()) {
    if (until.is_cancelled() || deadline.has_passed()) return false;
    if (!reactor_->has_thread() && !is_watching_) {
      // One thread watches for all waiting threads.
      is_watching_ = true;
      lock.unlock();
      reactor_->wait(deadline);
      lock.lock();
      is_watching_ = false;
      changed_.notify_all();  // another thread may have to watch next
    } else if (deadline.is_forever()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, deadline.at());
    }
  }
  return true;
}

void HostCore::interrupt() noexcept {
  // A waiter holds the mutex from its look at the token until it sleeps.
  { const Lock lock(mutex_); }
  announce();
}

void HostCore::announce() noexcept {
  changed_.notify_all();
  reactor_->wake();
}

bool HostCore::is_gone(const PluginProcess& process) {
  const Lock lock(mutex_);
  return process.is_dead;
}

std::optional<PluginExit> HostCore::exit_of(const PluginProcess& process) {
  const Lock lock(mutex_);
  return process.exit;
}

Result<PluginExit> HostCore::wait_exit(const PluginProcess& process, const Until& until) {
  const WakeOnStop stop(until, [this] { interrupt(); });  // before the lock, which it takes
  Lock lock(mutex_);
  if (wait(lock, until, [&] { return process.exit.has_value(); })) return *process.exit;
  if (until.is_cancelled()) return fail(ErrorCode::cancelled);
  return fail(ErrorCode::timed_out, fmt::format("process {} is still running", process.pid));
}

Result<HostCore::PluginParts> HostCore::wait_next(const std::shared_ptr<PluginCore>& plugin,
                                                  const std::shared_ptr<PluginProcess>& last,
                                                  const Until& until) {
  const WakeOnStop stop(until, [this] { interrupt(); });  // before the lock, which it takes
  Lock lock(mutex_);
  // The next process may be dead as well, and its channel gone.
  const auto has_next = [&] { return plugin->current != last && plugin->current->channel; };
  // Also waits for a death that the host has not seen yet.
  const bool is_over = wait(lock, until, [&] {
    return has_next() || is_shutting_down_ || (plugin->current->exit && !plugin->is_restarting);
  });
  if (auto open = check_open(); !open) return tl::unexpected(std::move(open.error()));
  if (has_next()) {
    auto lease = std::make_shared<ChannelLease>();
    lease->begin(*this, plugin->current);
    return PluginParts{plugin, plugin->current, ChannelLease::hand_out(std::move(lease))};
  }
  if (!is_over && until.is_cancelled()) return fail(ErrorCode::cancelled);
  if (!is_over) return fail(ErrorCode::timed_out, plugin->name + " was not started again");
  if (plugin->not_started) return tl::unexpected(*plugin->not_started);
  return fail(ErrorCode::peer_died, plugin->current->how + ", and will not be started again");
}

}  // namespace mews::inline MEWS_LAYOUT::detail
