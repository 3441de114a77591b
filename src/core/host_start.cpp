// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <new>

#include "host_core.hpp"
#include "mews/os/process.hpp"
#include "names.hpp"

// Plugins are started here. A thread of the spawner makes each process. The host's mutex is free
// meanwhile: a start can be stuck, and the host must still handle the deaths of the other plugins.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

// Bounds on the timeout of a start, for any default timeout of the session: a slow start is not
// given up, a stuck one is.
constexpr std::chrono::seconds kShortestStart{2};
constexpr std::chrono::seconds kLongestStart{60};

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
  auto lease = std::make_shared<ChannelLease>();
  auto start = [&]() -> Result<PreparedStart> {
    const Lock lock(mutex_);
    if (auto open = check_open(); !open) return tl::unexpected(std::move(open.error()));
    if (auto room = check_room(); !room) return tl::unexpected(std::move(room.error()));
    auto prepared = prepare_start(*plugin);
    if (!prepared) return prepared;
    ++reserved_;
    lease->begin(*this, prepared->process);  // before there is a process that can die
    return prepared;
  }();
  if (!start) return tl::unexpected(std::move(start.error()));
  auto child = spawner_.start(std::move(start->options), start_deadline());
  auto settled = settle_start(plugin, start->process, std::move(child));
  if (!settled) return tl::unexpected(std::move(settled.error()));
  return PluginParts{std::move(plugin), std::move(start->process),
                     ChannelLease::hand_out(std::move(lease))};
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
      // Kill it: it cannot take its seat, because its pid is not entered, and nobody watches it.
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
  process->wake = {};  // the plugin has inherited its own copies
  process->pid = child.pid;
  process->watched = std::move(child.pidfd);
  if (auto watching = watch_process(plugin, process); !watching) {
    process->is_dead = true;  // its handler may be waiting for the mutex
    child.pidfd = std::move(process->watched);
    return watching;
  }
  // Relaxed: the number alone matters.
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

}  // namespace mews::inline MEWS_LAYOUT::detail
