// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <csignal>
#include <new>

#include "admission.hpp"
#include "host_core.hpp"
#include "mews/os/process.hpp"
#include "names.hpp"
#include "texts.hpp"

// Processes come, go, and come again. A death is known from the kernel, by a descriptor that
// becomes readable; everything that follows is done by whoever dispatches the watch.
namespace mews::detail {
namespace {

using layout::PeerState;
using layout::SeatWord;

constexpr std::chrono::milliseconds kFirstDelay{10};
constexpr std::chrono::seconds kAfterTerm{1};
constexpr std::chrono::seconds kAfterKill{5};

Result<os::UniqueFd> timer_in(std::chrono::milliseconds delay) {
  auto timer = os::own_fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return tl::unexpected(Error::os(errno, "timerfd_create"));
  itimerspec when{};
  when.it_value.tv_sec = delay.count() / 1000;
  when.it_value.tv_nsec = std::max<long>(1, delay.count() % 1000 * 1'000'000);
  if (::timerfd_settime(timer.get(), 0, &when, nullptr) != 0) {
    return tl::unexpected(Error::os(errno, "timerfd_settime"));
  }
  return timer;
}

// Whether it is gone now.
bool end_child(int pidfd) {
  (void)os::send_signal(pidfd, SIGKILL);
  const bool is_gone = os::wait_for_exit(pidfd, kAfterKill);
  (void)os::reap(pidfd);
  return is_gone;
}

}  // namespace

Result<HostCore::Cast> HostCore::spawn(const std::string& name,
                                       const std::vector<std::string>& command,
                                       PluginOptions options) {
  if (auto bad = check_name(name)) return tl::unexpected(std::move(*bad));
  if (command.empty() || command[0].empty()) {
    return fail(ErrorCode::invalid_argument, fmt::format("plugin {} has no command", name));
  }
  auto plugin = std::make_shared<PluginCore>();
  plugin->name = name;
  plugin->command = command;
  plugin->environment = os::environment();
  plugin->options = std::move(options);
  for (auto* delay : {&plugin->options.restart_delay, &plugin->options.restart_delay_limit})
    *delay = std::max(*delay, std::chrono::milliseconds::zero());
  plugin->host = weak_from_this();
  plugin->delay = plugin->options.restart_delay;
  auto holding = std::make_shared<Holding>();
  const Lock lock(mutex_);
  if (auto room = check_room(); !room) return tl::unexpected(std::move(room.error()));
  if (auto started = start(plugin); !started) return tl::unexpected(std::move(started.error()));
  plugins_.push_back(plugin);
  return cast_of(plugin, std::move(holding));
}

Result<void> HostCore::start(const std::shared_ptr<PluginCore>& plugin) try {
  auto process = invite(plugin->name);
  if (!process) return tl::unexpected(std::move(process.error()));
  SeatGuard guard(*this, **process);
  const auto seat = seat_of(**process);
  os::SpawnOptions spawning;
  spawning.arguments = plugin->command;
  spawning.base_environment = plugin->environment;
  spawning.environment = plugin->options.environment;
  spawning.environment.push_back(to_environment(seat));
  spawning.inherited_fds = {seat.arena, seat.host_pidfd, seat.stream, seat.event};
  auto child = os::spawn(spawning);
  if (!child) return tl::unexpected(std::move(child.error()));
  (*process)->wake = {};
  (*process)->pid = child->pid;
  // Relaxed: the number is all there is to it.
  session_->arena().peer(seat.peer).pid.store(static_cast<std::uint32_t>(child->pid),
                                              std::memory_order_relaxed);
  (*process)->watched = std::move(child->pidfd);
  if (auto watching = watch_process(plugin, *process); !watching) {
    // Nobody would see it end.
    if (!end_child((*process)->watched.get())) guard.keep();
    return watching;
  }
  guard.keep();
  plugin->current = *process;
  return {};
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);  // no process has been started
}

Result<void> HostCore::watch_process(const std::shared_ptr<PluginCore>& plugin,
                                     const std::shared_ptr<PluginProcess>& process) try {
  if (process->watched) {
    auto id =
        watch_->add(process->watched.get(), [this, plugin, process] { on_gone(plugin, process); });
    if (!id) return tl::unexpected(std::move(id.error()));
    process->watch_id = *id;
  }
  auto hang_up = watch_hang_up(plugin, process);
  if (!hang_up) watch_->remove(process->watch_id);
  return hang_up;
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

void HostCore::on_gone(const std::shared_ptr<PluginCore>& plugin,
                       const std::shared_ptr<PluginProcess>& process) {
  Lock lock(mutex_);
  if (process->exit) return;
  watch_->remove(process->watch_id);
  auto exit = exit_text(*plugin, *process);
  take_back_all(*process, exit.description);
  plan_restart(plugin, exit, Deadline::Clock::now() - process->began);
  process->exit = exit;
  collect_seats();
  const bool is_due_now = exit.will_restart && plugin->delay.count() == 0;
  if (!exit.will_restart) std::erase(plugins_, plugin);
  lock.unlock();
  announce();
  if (plugin->options.on_exit) plugin->options.on_exit(exit);
  if (is_due_now) restart(plugin);
}

PluginExit HostCore::exit_text(const PluginCore& plugin, const PluginProcess& process) {
  PluginExit exit{.name = plugin.name,
                  .is_signal = false,
                  .number = -1,
                  .will_restart = false,
                  .description = plugin.name + ": gone"};
  if (const auto status = os::reap(process.watched.get())) {
    exit.is_signal = status->is_signal;
    exit.number = status->number;
    exit.description = fmt::format("{}: {}", plugin.name, status->describe());
  } else if (!plugin.command.empty()) {
    exit.description += ", how is not known: SIGCHLD is ignored, or the program took its status";
  }
  return exit;
}

void HostCore::plan_restart(const std::shared_ptr<PluginCore>& plugin, PluginExit& exit,
                            Deadline::Clock::duration lived) {
  const auto& options = plugin->options;
  if (is_shutting_down_ || options.restart == Restart::never || plugin->command.empty()) return;
  // Exited with 0; or nobody knows how it ended, and what may have been a good end is not undone.
  if (!exit.is_signal && exit.number <= 0) return;
  exit.will_restart = true;
  plugin->is_restarting = true;
  // One that ran for a while starts over; one that keeps dying waits twice as long each time.
  if (lived > std::max<Deadline::Clock::duration>(options.restart_delay_limit, kFirstDelay)) {
    plugin->delay = options.restart_delay;
  }
  exit.description += plugin->delay.count() == 0
                          ? ", restart at once"
                          : fmt::format(", restart in {}", duration_text(plugin->delay));
  if (plugin->delay.count() == 0) return;
  if (auto set = set_restart_timer(plugin); !set) {
    exit.will_restart = plugin->is_restarting = false;
    exit.description += ", but: " + set.error().message();
    plugin->not_started = std::move(set.error());
  }
}

Result<void> HostCore::set_restart_timer(const std::shared_ptr<PluginCore>& plugin) {
  auto timer = timer_in(plugin->delay);
  if (!timer) return tl::unexpected(std::move(timer.error()));
  auto id = watch_->add(timer->get(), [this, plugin] { restart(plugin); });
  if (!id) return tl::unexpected(std::move(id.error()));
  plugin->restart_timer = std::move(*timer);
  plugin->timer_id = *id;
  return {};
}

void HostCore::restart(const std::shared_ptr<PluginCore>& plugin) {
  std::optional<PluginExit> failed;
  {
    const Lock lock(mutex_);
    if (plugin->restart_timer) {
      watch_->remove(plugin->timer_id);
      plugin->restart_timer.reset();
    }
    plugin->is_restarting = false;
    if (is_shutting_down_) {
      std::erase(plugins_, plugin);
    } else {
      plugin->delay =
          std::min(plugin->options.restart_delay_limit, std::max(kFirstDelay, 2 * plugin->delay));
      if (auto started = start(plugin); !started) {
        failed = {.name = plugin->name,
                  .is_signal = false,
                  .number = -1,
                  .will_restart = false,
                  .description =
                      fmt::format("{}: no restart: {}", plugin->name, started.error().message())};
        plugin->not_started = std::move(started.error());
        std::erase(plugins_, plugin);
      }
    }
  }
  announce();
  if (failed && plugin->options.on_exit) plugin->options.on_exit(*failed);
}

Result<void> HostCore::watch_loops() {
  auto timer = LookTimer::make();
  if (!timer) return tl::unexpected(std::move(timer.error()));
  auto id = watch_->add((*timer)->fd(), [this] { look_for_loops(); });
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
  watch_->rearm(look_id_);
}

template <class IsDone>
bool HostCore::wait(Lock& lock, const Until& until, IsDone&& is_done) {
  const auto deadline = until.deadline;
  while (!is_done()) {
    if (until.is_cancelled() || deadline.has_passed()) return false;
    if (!watch_->has_thread() && !is_watching_) {
      // One watches for all that wait.
      is_watching_ = true;
      lock.unlock();
      watch_->wait(deadline);
      lock.lock();
      is_watching_ = false;
      changed_.notify_all();  // so that another goes on when this one is done
    } else if (deadline.is_forever()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, deadline.at());
    }
  }
  return true;
}

void HostCore::interrupt() noexcept {
  // Whoever has asked its token and not slept yet has the mutex.
  { const Lock lock(mutex_); }
  announce();
}

void HostCore::announce() noexcept {
  changed_.notify_all();
  watch_->wake();
}

bool HostCore::is_gone(const PluginProcess& process) {
  const Lock lock(mutex_);
  return process.exit.has_value();
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

Result<HostCore::Cast> HostCore::wait_next(const std::shared_ptr<PluginCore>& plugin,
                                           const std::shared_ptr<PluginProcess>& last,
                                           const Until& until) {
  const WakeOnStop stop(until, [this] { interrupt(); });  // before the lock, which it takes
  Lock lock(mutex_);
  // The next one may have died in turn, and its channel may be gone with it.
  const auto has_next = [&] { return plugin->current != last && plugin->current->channel; };
  // A death that has not been noticed yet is waited for as well.
  const bool is_over = wait(
      lock, until, [&] { return has_next() || (plugin->current->exit && !plugin->is_restarting); });
  if (has_next()) return cast_of(plugin, std::make_shared<Holding>());
  if (!is_over && until.is_cancelled()) return fail(ErrorCode::cancelled);
  if (!is_over) return fail(ErrorCode::timed_out, plugin->name + " was not started again");
  if (plugin->not_started) return tl::unexpected(*plugin->not_started);
  return fail(ErrorCode::peer_died,
              plugin->current->exit->description + ", and will not be started again");
}

bool HostCore::has_children() const {
  return std::any_of(plugins_.begin(), plugins_.end(), [](const auto& plugin) {
    return !plugin->command.empty() && !plugin->current->exit;
  });
}

void HostCore::signal_children(int signal_number, std::vector<std::string>* names) {
  for (const auto& plugin : plugins_) {
    if (plugin->command.empty() || plugin->current->exit) continue;
    // A failure means that it is gone already, which the watch reports.
    (void)os::send_signal(plugin->current->watched.get(), signal_number);
    if (names != nullptr) names->push_back(plugin->name);
  }
}

std::vector<std::string> HostCore::shutdown(Deadline deadline) {
  std::vector<std::string> killed;
  Lock lock(mutex_);
  is_shutting_down_ = true;
  if (admission_) {
    lock.unlock();
    admission_->wake();
    lock.lock();
  }
  for (const auto& plugin : plugins_) {
    // Its own sender may be at work in another thread; SIGTERM follows in any case.
    if (plugin->current->channel) (void)plugin->current->channel->close();
  }
  const auto is_over = [this] { return !has_children(); };
  if (wait(lock, {deadline}, is_over)) return killed;
  signal_children(SIGTERM, nullptr);
  if (wait(lock, {kAfterTerm}, is_over)) return killed;
  signal_children(SIGKILL, &killed);
  wait(lock, {kAfterKill}, is_over);
  return killed;
}

}  // namespace mews::detail
