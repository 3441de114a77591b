// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "admission.hpp"
#include "host_core.hpp"
#include "mews/os/process.hpp"

// The host ends one plugin, or all: first by closing the channel, then by signals. A plugin that
// was ended so is not started again.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

constexpr std::chrono::seconds kAfterTerm{1};
constexpr std::chrono::seconds kAfterKill{5};

Error closing() {
  return Error(ErrorCode::closed, "the session is shutting down");
}

}  // namespace

Result<void> HostCore::check_open() const {
  if (is_shutting_down_) return tl::unexpected(closing());
  return {};
}

void HostCore::retire(const std::shared_ptr<PluginCore>& plugin) {
  std::shared_ptr<os::Spawner::Job> job;
  {
    const Lock lock(mutex_);
    if (plugin->is_retired) return;
    plugin->is_retired = true;
    job = cancel_restart(plugin);
  }
  if (job) spawner_.give_up(job, Error(ErrorCode::closed, plugin->name + " was stopped"));
  announce();
}

Result<PluginExit> HostCore::stop(const std::shared_ptr<PluginCore>& plugin, Deadline deadline) {
  retire(plugin);
  Lock lock(mutex_);
  const auto is_over = [&] { return plugin->current->exit && !plugin->is_restarting; };
  // `close` fails while another thread is sending; SIGTERM follows in any case.
  if (plugin->current->channel) (void)plugin->current->channel->close();
  const auto process = plugin->current;
  struct Step {
    int signal_number;
    std::chrono::seconds timeout;
  };
  if (wait(lock, {deadline}, is_over)) return *process->exit;
  for (const auto& step : {Step{SIGTERM, kAfterTerm}, Step{SIGKILL, kAfterKill}}) {
    if (!process->is_dead) {
      const auto sent = os::send_signal(process->watched.get(), step.signal_number);
      if (!sent && sent.error().os_errno() != ESRCH) return tl::unexpected(sent.error());
    }
    if (wait(lock, {step.timeout}, is_over)) return *process->exit;
  }
  return fail(
      ErrorCode::timed_out,
      fmt::format("process {} was sent SIGKILL, but the kernel has not ended it", process->pid));
}

bool HostCore::has_children() const {
  return std::any_of(plugins_.begin(), plugins_.end(), [](const auto& plugin) {
    return plugin->is_spawned && !plugin->current->exit && !plugin->current->is_left_behind;
  });
}

void HostCore::signal_children(int signal_number) {
  for (const auto& plugin : plugins_) {
    auto& process = *plugin->current;
    if (!plugin->is_spawned || process.is_dead || process.is_left_behind) continue;
    const auto sent = os::send_signal(process.watched.get(), signal_number);
    // ESRCH: gone already, the watch reports it. Another error: this process cannot end it.
    process.is_left_behind = !sent && sent.error().os_errno() != ESRCH;
  }
}

ShutdownReport HostCore::report(const std::vector<std::shared_ptr<PluginCore>>& killed) const {
  ShutdownReport report;
  for (const auto& plugin : killed) {
    if (plugin->current->exit) report.killed.push_back(plugin->name);
  }
  for (const auto& plugin : plugins_) {
    if (plugin->is_spawned && plugin->current->is_left_behind && !plugin->current->exit) {
      report.left_behind.push_back(plugin->name);
    }
  }
  return report;
}

Result<ShutdownReport> HostCore::shutdown(Deadline deadline) {
  Lock lock(mutex_);
  is_shutting_down_ = true;
  mind_timer_.clear(*reactor_);
  for (const auto& plugin : std::vector(plugins_)) {
    // `close` fails while another thread is sending; SIGTERM follows in any case.
    if (plugin->current->channel) (void)plugin->current->channel->close();
    (void)cancel_restart(plugin);
  }
  lock.unlock();
  if (admission_) admission_->wake();
  spawner_.stop(closing());
  announce();
  lock.lock();
  const auto is_over = [this] { return starts_ == 0 && !has_children(); };
  if (wait(lock, {deadline}, is_over)) return report({});
  signal_children(SIGTERM);
  if (wait(lock, {kAfterTerm}, is_over)) return report({});
  signal_children(SIGKILL);
  std::vector<std::shared_ptr<PluginCore>> killed;
  for (const auto& plugin : plugins_) {
    const auto& process = *plugin->current;
    if (plugin->is_spawned && !process.is_dead && !process.is_left_behind) killed.push_back(plugin);
  }
  wait(lock, {kAfterKill}, is_over);
  for (const auto& plugin : plugins_) {
    if (plugin->is_spawned && !plugin->current->exit) plugin->current->is_left_behind = true;
  }
  return report(killed);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
