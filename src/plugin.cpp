// SPDX-License-Identifier: MIT
#include "mews/plugin.hpp"

#include <new>

#include "core/host_core.hpp"
#include "mews/os/process.hpp"

namespace mews::inline MEWS_LAYOUT {
namespace {

Error session_is_gone() {
  return Error(ErrorCode::closed, "the session of this plugin is gone");
}

}  // namespace

// A process without a handle must learn that it should end: its channel is closed.
Plugin::Plugin(std::shared_ptr<detail::PluginCore> core,
               std::shared_ptr<detail::PluginProcess> process,
               std::shared_ptr<detail::ChannelCore> channel) try
    : core_(std::move(core)),
      process_(std::move(process)),
      channel_(new Channel(std::move(channel))) {
} catch (const std::bad_alloc&) {
  (void)channel->close();  // `channel` is not moved from: `new` failed. The caller gets bad_alloc.
}

Plugin::Plugin(Plugin&&) noexcept = default;

Plugin& Plugin::operator=(Plugin&& other) noexcept {
  if (this != &other) {
    Plugin old(std::move(*this));
    core_ = std::move(other.core_);
    process_ = std::move(other.process_);
    channel_ = std::move(other.channel_);
  }
  return *this;
}

Plugin::~Plugin() {
  if (!process_ || !process_->owner.is_this_process()) return;  // moved from, or a forked copy
  // Without a handle nobody can use a next process.
  if (const auto host = core_->host.lock()) host->retire(core_);
  // The user may have moved the channel out.
  if (!channel_ || !channel_->core_) return;
  // No other thread sends through this handle. `close` fails, and the channel stays open, while a
  // SharedSender is sending.
  (void)channel_->close();
}

const std::string& Plugin::name() const noexcept {
  return core_->name;
}
PeerId Plugin::peer() const noexcept {
  return process_->peer;
}
pid_t Plugin::pid() const noexcept {
  return process_->pid;
}
Channel& Plugin::channel() & noexcept {
  return *channel_;
}

bool Plugin::is_alive() const noexcept {
  if (!process_->owner.is_this_process()) return false;
  const auto host = core_->host.lock();
  return host ? !host->is_gone(*process_) : !process_->is_dead;
}

std::optional<PluginExit> Plugin::exit() const {
  if (!process_->owner.is_this_process()) return std::nullopt;
  const auto host = core_->host.lock();
  return host ? host->exit_of(*process_) : process_->exit;
}

Result<PluginExit> Plugin::wait_exit(Deadline deadline, const std::stop_token& stop) try {
  if (!process_->owner.is_this_process()) return fail(ErrorCode::wrong_process);
  const auto host = core_->host.lock();
  if (!host) return tl::unexpected(session_is_gone());
  return host->wait_exit(*process_, {deadline, &stop});
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<void> Plugin::renew(Deadline deadline, const std::stop_token& stop) try {
  if (!process_->owner.is_this_process()) return fail(ErrorCode::wrong_process);
  const auto host = core_->host.lock();
  if (!host) return tl::unexpected(session_is_gone());
  auto next = host->wait_next(core_, process_, {deadline, &stop});
  if (!next) return tl::unexpected(std::move(next.error()));
  process_ = std::move(next->process);
  *channel_ = Channel(std::move(next->channel));
  return {};
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<PluginExit> Plugin::stop(Deadline deadline) try {
  if (!process_->owner.is_this_process()) return fail(ErrorCode::wrong_process);
  const auto host = core_->host.lock();
  if (!host) return tl::unexpected(session_is_gone());
  return host->stop(core_, deadline);
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<void> Plugin::kill(int signal_number) {
  if (!process_->owner.is_this_process()) return fail(ErrorCode::wrong_process);
  return os::send_signal(process_->watched.get(), signal_number);
}

}  // namespace mews::inline MEWS_LAYOUT
