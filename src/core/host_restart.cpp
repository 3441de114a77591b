// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "host_core.hpp"
#include "texts.hpp"

// A plugin that died is started again: planned by whoever dispatches the reactor, when its timer
// fires submitted to the spawner, and settled on the spawner's thread (host_start.cpp).
namespace mews::detail {
namespace {

/// Before the second restart, and the wait that is doubled.
constexpr std::chrono::milliseconds kFirstRestartDelay{10};

constexpr std::chrono::milliseconds kFirstLook{50};

/// Whether one more is within the limit, which it then counts for.
bool may_restart(PluginCore& plugin) {
  const auto& options = plugin.options;
  if (options.restart_limit == kUnlimitedRestarts) return true;
  const auto now = Deadline::Clock::now();
  auto& restarts = plugin.restarts;
  while (!restarts.empty() && now - restarts.front() > options.restart_window)
    restarts.pop_front();
  if (restarts.size() >= options.restart_limit) return false;
  restarts.push_back(now);
  return true;
}

}  // namespace

void HostCore::plan_restart(const std::shared_ptr<PluginCore>& plugin, PluginExit& exit,
                            Deadline::Clock::duration lived) {
  const auto& options = plugin->options;
  if (is_shutting_down_ || plugin->is_retired || options.restart == Restart::never ||
      !plugin->is_spawned) {
    return;
  }
  // Exited with 0; or nobody knows how it ended, and what may have been a good end is not undone.
  if (!exit.is_signal && exit.number <= 0) return;
  if (!may_restart(*plugin)) {
    exit.gave_up = true;
    exit.description += fmt::format(", given up after {} restarts within {}", options.restart_limit,
                                    duration_text(options.restart_window));
    return;
  }
  // One that ran for a while starts over; one that keeps dying waits twice as long each time.
  if (lived >
      std::max<Deadline::Clock::duration>(options.restart_delay_limit, kFirstRestartDelay)) {
    plugin->delay = options.restart_delay;
  }
  if (plugin->delay.count() != 0) {
    auto set =
        plugin->restart_timer.set(*reactor_, plugin->delay, [this, plugin] { restart(plugin); });
    if (!set) {
      exit.gave_up = true;
      exit.description += ", given up: " + set.error().message();
      plugin->not_started = std::move(set.error());
      return;
    }
  }
  exit.will_restart = plugin->is_restarting = true;
  exit.description += plugin->delay.count() == 0
                          ? ", restart at once"
                          : fmt::format(", restart in {}", duration_text(plugin->delay));
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

// A restart that is planned is over. One that is under way is the caller's to give up, without the
// mutex.
std::shared_ptr<os::Spawner::Job> HostCore::cancel_restart(
    const std::shared_ptr<PluginCore>& plugin) {
  if (!plugin->is_restarting) return nullptr;
  if (auto& exit = plugin->current->exit) {
    exit->will_restart = false;
    exit->description = plugin->current->how;
  }
  if (plugin->job) return plugin->job;
  plugin->restart_timer.clear(*reactor_);
  plugin->is_restarting = false;
  std::erase(plugins_, plugin);
  return nullptr;
}

}  // namespace mews::detail
