// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "host_core.hpp"
#include "texts.hpp"

// A plugin that died is started again. The thread that dispatches the reactor plans the restart;
// when its timer fires, that thread submits it to the spawner. The spawner's thread settles it
// (host_start.cpp).
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

/// Least delay before the second restart; it doubles from then on.
constexpr std::chrono::milliseconds kFirstRestartDelay{10};

constexpr std::chrono::milliseconds kFirstLook{50};

/// Returns whether one more restart is within the limit, and if so counts it.
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
  // Exit code 0, or an unknown status (-1), which may have been an exit code 0: no restart.
  if (!exit.is_signal && exit.number <= 0) return;
  if (!may_restart(*plugin)) {
    exit.gave_up = true;
    exit.description += fmt::format(", given up after {} restarts within {}", options.restart_limit,
                                    duration_text(options.restart_window));
    return;
  }
  // A longer life resets the delay. A plugin that keeps dying waits twice as long each time.
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
    if (!plugin->is_restarting || plugin->job) return;  // under way already, or cancelled
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
    // Before `mind`: a restart that begins meanwhile sets the timer again.
    const Lock lock(mutex_);
    mind_timer_.clear(*reactor_);
  }
  const auto next = spawner_.mind();
  const Lock lock(mutex_);
  if (next.is_forever() || is_shutting_down_ || mind_timer_.is_set()) return;
  // On an error the next start finds a stuck restart.
  (void)mind_timer_.set(*reactor_, next.left(), [this] { mind_starts(); });
}

void HostCore::give_up_restarting(const std::shared_ptr<PluginCore>& plugin, const Error& why) {
  plugin->is_restarting = false;
  plugin->not_started = why;
  std::erase(plugins_, plugin);
}

// The thread that dispatches the reactor calls `on_exit`, so a timer hands the call over to it.
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
    if (is_shutting_down_ || plugin->is_retired) return;  // cancelled on purpose
    if (plugin->restart_timer.set(*reactor_, {}, tell)) return;
  }
  plugin->options.on_exit(exit);  // no timer could be set
}

// Cancels a planned restart. Returns the job of a restart under way: the caller gives it up,
// without the mutex.
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

}  // namespace mews::inline MEWS_LAYOUT::detail
