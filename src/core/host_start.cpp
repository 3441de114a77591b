// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <new>

#include "host_core.hpp"
#include "mews/os/process.hpp"
#include "names.hpp"

// Plugins are started here. The host's mutex is not held meanwhile: a start can be stuck, and the
// others' deaths must be seen to. A thread of the spawner's makes each process.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

// A start that is merely slow is not given up; one that is stuck is, whatever the session waits
// for.
constexpr std::chrono::seconds kShortestStart{2};
constexpr std::chrono::seconds kLongestStart{60};
constexpr std::chrono::milliseconds kFirstLook{50};

void correct(PluginOptions& options) {
  for (auto* duration :
       {&options.restart_delay, &options.restart_delay_limit, &options.restart_window})
    *duration = std::max(*duration, std::chrono::milliseconds::zero());
}

}  // namespace

Result<HostCore::PluginParts> HostCore::spawn(const std::string& name,
                                              const std::vector<std::string>& command,
                                              PluginOptions options) {
  if (auto bad = check_name(name)) return tl::unexpected(std::move(*bad));
  if (command.empty() || command[0].empty()) {
    return fail(ErrorCode::invalid_argument, fmt::format("plugin {} has no command", name));
  }
  auto plan = plan_process(command, options);
  if (!plan) return tl::unexpected(std::move(plan.error()));
  auto plugin = std::make_shared<PluginCore>();
  plugin->name = name;
  plugin->is_spawned = true;
  plugin->plan = std::move(*plan);
  plugin->options = std::move(options);
  correct(plugin->options);
  plugin->host = weak_from_this();
  plugin->delay = plugin->options.restart_delay;
  auto holding = std::make_shared<ChannelLease>();
  auto start = [&]() -> Result<PreparedStart> {
    const Lock lock(mutex_);
    if (auto open = check_open(); !open) return tl::unexpected(std::move(open.error()));
    if (auto room = check_room(); !room) return tl::unexpected(std::move(room.error()));
    auto prepared = prepare_start(*plugin);
    if (prepared) ++reserved_;
    return prepared;
  }();
  if (!start) return tl::unexpected(std::move(start.error()));
  // One that dies at once does not take it along.
  const auto channel = start->process->channel;
  auto child = spawner_.start(std::move(start->options), start_deadline());
  auto settled = settle_start(plugin, start->process, std::move(child));
  if (!settled) return tl::unexpected(std::move(settled.error()));
  const Lock lock(mutex_);
  return parts_of(plugin, start->process, std::move(holding));
}

Deadline HostCore::start_deadline() const {
  return std::clamp<std::chrono::nanoseconds>(local_.default_timeout, kShortestStart,
                                              kLongestStart);
}

Result<HostCore::PreparedStart> HostCore::prepare_start(PluginCore& plugin) try {
  auto process = invite(plugin.name);
  if (!process) return tl::unexpected(std::move(process.error()));
  SeatGuard guard(*this, **process);
  const auto seat = seat_of(**process);
  auto options = plugin.plan.options;
  options.environment.push_back(to_environment(seat));
  for (const int fd : {seat.arena, seat.host_pidfd, seat.stream, seat.event})
    options.inherited_fds.push_back(fd);
  guard.keep();
  ++starts_;
  return PreparedStart{std::move(*process), std::move(options)};
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);  // no process has been started
}

Result<void> HostCore::settle_start(const std::shared_ptr<PluginCore>& plugin,
                                    const std::shared_ptr<PluginProcess>& process,
                                    Result<os::Child> child) {
  Result<void> settled;
  bool is_gone = true;
  if (!child) {
    settled = tl::unexpected(std::move(child.error()));
  } else {
    settled = keep_child(plugin, process, *child);
    if (!settled) {
      // It has no seat, as its number is not entered; and nobody would see it end.
      (void)os::send_signal(child->pidfd.get(), SIGKILL);
      is_gone = os::bury(std::move(child->pidfd));
    }
  }
  if (!settled) {
    const Lock lock(mutex_);
    if (is_gone) vacate(*process);
    --starts_;
    plugin->job.reset();
    if (plugin->is_restarting) {
      give_up_restarting(plugin, settled.error());
    } else {
      --reserved_;
    }
  }
  announce();
  return settled;
}

Result<void> HostCore::keep_child(const std::shared_ptr<PluginCore>& plugin,
                                  const std::shared_ptr<PluginProcess>& process, os::Child& child) {
  const Lock lock(mutex_);
  if (auto open = check_open(); !open) return open;
  if (plugin->is_retired) return fail(ErrorCode::closed, plugin->name + " was stopped");
  process->wake = {};  // the plugin has its own
  process->pid = child.pid;
  process->watched = std::move(child.pidfd);
  if (auto watching = watch_process(plugin, process); !watching) {
    child.pidfd = std::move(process->watched);
    return watching;
  }
  // Relaxed: the number is all there is to it.
  session_->arena()
      .peer(process->peer)
      .pid.store(static_cast<std::uint32_t>(child.pid), std::memory_order_relaxed);
  plugin->current = process;
  if (!plugin->is_restarting) {
    plugins_.push_back(plugin);
    --reserved_;
  }
  plugin->job.reset();
  plugin->is_restarting = false;
  --starts_;
  return {};
}

void HostCore::restart(const std::shared_ptr<PluginCore>& plugin) {
  Result<void> begun;
  {
    const Lock lock(mutex_);
    plugin->restart_timer.clear(*reactor_);
    if (!plugin->is_restarting || plugin->job) return;  // somebody else was faster, or it is over
    plugin->delay = std::min(plugin->options.restart_delay_limit,
                             std::max(kFirstRestartDelay, 2 * plugin->delay));
    begun = begin_restart(plugin);
    if (!begun) give_up_restarting(plugin, begun.error());
  }
  if (begun) return;
  announce();
  tell_no_restart(plugin, begun.error());
}

Result<void> HostCore::begin_restart(const std::shared_ptr<PluginCore>& plugin) try {
  if (!mind_timer_.is_set()) {
    if (auto set = mind_timer_.set(*reactor_, kFirstLook, [this] { mind_starts(); }); !set) {
      return set;
    }
  }
  auto start = prepare_start(*plugin);
  if (!start) return tl::unexpected(std::move(start.error()));
  auto job = submit(plugin, std::move(*start));
  if (!job) return tl::unexpected(std::move(job.error()));
  plugin->job = std::move(*job);
  return {};
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<std::shared_ptr<os::Spawner::Job>> HostCore::submit(
    const std::shared_ptr<PluginCore>& plugin, PreparedStart start) {
  const auto process = start.process;
  auto job = [&]() -> Result<std::shared_ptr<os::Spawner::Job>> {
    try {
      return spawner_.submit(std::move(start.options), start_deadline(),
                             [this, plugin, process](Result<os::Child> child) {
                               auto settled = settle_start(plugin, process, std::move(child));
                               if (!settled) tell_no_restart(plugin, settled.error());
                             });
    } catch (const std::bad_alloc&) {
      return fail(ErrorCode::out_of_memory);
    }
  }();
  if (job) return job;
  --starts_;
  vacate(*process);
  return job;
}

void HostCore::mind_starts() {
  {
    // First, so that a restart that comes now sets it again.
    const Lock lock(mutex_);
    mind_timer_.clear(*reactor_);
  }
  const auto next = spawner_.mind();
  const Lock lock(mutex_);
  if (next.is_forever() || is_shutting_down_ || mind_timer_.is_set()) return;
  // Without a timer a restart that is stuck is minded by the next start.
  (void)mind_timer_.set(*reactor_, next.left(), [this] { mind_starts(); });
}

void HostCore::give_up_restarting(const std::shared_ptr<PluginCore>& plugin, const Error& why) {
  plugin->is_restarting = false;
  plugin->not_started = why;
  std::erase(plugins_, plugin);
}

// The callback is for whoever dispatches the reactor.
void HostCore::tell_no_restart(const std::shared_ptr<PluginCore>& plugin, const Error& why) {
  if (!plugin->options.on_exit) return;
  const PluginExit exit{
      .name = plugin->name,
      .is_signal = false,
      .number = -1,
      .will_restart = false,
      .gave_up = true,
      .description = fmt::format("{}: no restart: {}", plugin->name, why.message())};
  const auto tell = [this, plugin, exit] {
    {
      const Lock lock(mutex_);
      plugin->restart_timer.clear(*reactor_);
    }
    plugin->options.on_exit(exit);
  };
  {
    const Lock lock(mutex_);
    if (is_shutting_down_ || plugin->is_retired) return;  // it was called off
    if (plugin->restart_timer.set(*reactor_, {}, tell)) return;
  }
  plugin->options.on_exit(exit);  // the system has no timer
}

}  // namespace mews::inline MEWS_LAYOUT::detail
