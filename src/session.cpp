// SPDX-License-Identifier: MIT
#include "mews/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <new>
#include <optional>

#include "core/guest_core.hpp"
#include "core/host_core.hpp"
#include "core/joining.hpp"
#include "core/stats.hpp"
#include "mews/base/leak.hpp"
#include "mews/detail/fork_stamp.hpp"

namespace mews::inline MEWS_LAYOUT {

struct Session::State {
  std::shared_ptr<detail::HostCore> host;
  std::unique_ptr<detail::GuestCore> guest;
  std::optional<Channel> channel;  ///< an empty `Channel` in a host
  detail::ForkStamp origin;
  base::LeakedNode leaked;

  /// Returns why a host's function must fail here. Check before any lock: in a forked child a lock
  /// may still be held by a thread that exists only in the parent.
  [[nodiscard]] std::optional<Error> why_not_host() const {
    if (!origin.is_this_process()) return Error(ErrorCode::wrong_process);
    if (host) return std::nullopt;
    return Error(ErrorCode::invalid_argument, "only the session that made the arena can do this");
  }
};

namespace {

constexpr std::chrono::seconds kGoodbye{2};

Result<std::unique_ptr<detail::GuestCore>> join_spawner(detail::InheritedTurn& turn,
                                                        const LocalOptions& local,
                                                        Deadline deadline) {
  auto invitation = turn.take();
  if (!invitation) return tl::unexpected(std::move(invitation.error()));
  return detail::GuestCore::join(std::move(*invitation), nullptr, local, deadline);
}

}  // namespace

Session::Session(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    Session old(std::move(state_));
    state_ = std::move(other.state_);
  }
  return *this;
}

Session::~Session() {
  if (!state_) return;
  if (!state_->origin.is_this_process()) {
    // A copy in a forked child: its destructor would touch the parent's objects.
    base::leak_on_purpose(state_.release()->leaked);
    return;
  }
  state_->channel.reset();
  if (state_->host) (void)shutdown(kGoodbye);
}

HandleResult<Session> Session::create(CreateOptions options) try {
  auto host = detail::HostCore::create(options);
  if (!host) return tl::unexpected(std::move(host.error()));
  auto state = std::make_unique<State>();
  state->channel = Channel(nullptr);
  state->host = std::move(*host);
  return Session(std::move(state));
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

HandleResult<Session> Session::attach(const AttachOptions& options) try {
  const Deadline deadline(options.timeout);
  if (auto bad = detail::check_options(options)) return tl::unexpected(std::move(*bad));
  auto state = std::make_unique<State>();
  detail::InheritedTurn turn;
  auto guest = options.name.empty() && options.socket.empty()
                   ? join_spawner(turn, options.local, deadline)
                   : detail::join_host(options, deadline);
  if (!guest) return tl::unexpected(std::move(guest.error()));
  state->channel = Channel((*guest)->channel());
  state->guest = std::move(*guest);
  turn.use_up();
  return Session(std::move(state));
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

bool Session::is_host() const noexcept {
  return state_->host != nullptr;
}

Channel& Session::channel() & noexcept {
  return *state_->channel;
}

HandleResult<Plugin> Session::spawn(const std::string& name,
                                    const std::vector<std::string>& command,
                                    PluginOptions options) try {
  if (auto not_here = state_->why_not_host()) return tl::unexpected(std::move(*not_here));
  auto plugin = state_->host->spawn(name, command, std::move(options));
  if (!plugin) return tl::unexpected(std::move(plugin.error()));
  return Plugin(std::move(plugin->plugin), std::move(plugin->process), std::move(plugin->channel));
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<void> Session::listen(const std::string& address) try {
  if (auto not_here = state_->why_not_host()) return tl::unexpected(std::move(*not_here));
  return state_->host->listen(address);
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

HandleResult<Plugin> Session::admit(Deadline deadline, std::stop_token stop) try {
  if (auto not_here = state_->why_not_host()) return tl::unexpected(std::move(*not_here));
  auto plugin = state_->host->admit(deadline, stop);
  if (!plugin) return tl::unexpected(std::move(plugin.error()));
  return Plugin(std::move(plugin->plugin), std::move(plugin->process), std::move(plugin->channel));
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

HandleResult<std::pair<Plugin, Session>> Session::connect(const std::string& name) try {
  if (auto not_here = state_->why_not_host()) return tl::unexpected(std::move(*not_here));
  auto& host = *state_->host;
  auto local = host.connect(name);
  if (!local) return tl::unexpected(std::move(local.error()));
  // Nothing to watch: the host in this process does not die before its guest.
  auto options = host.local();
  options.watcher = Watcher::none;
  auto guest = detail::GuestCore::join(std::move(local->invitation), host.session()->shared_arena(),
                                       options, forever);
  if (!guest) return tl::unexpected(std::move(guest.error()));
  auto state = std::make_unique<State>();
  state->channel = Channel((*guest)->channel());
  state->guest = std::move(*guest);
  auto& parts = local->parts;
  return std::pair(
      Plugin(std::move(parts.plugin), std::move(parts.process), std::move(parts.channel)),
      Session(std::move(state)));
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<ShutdownReport> Session::shutdown(Deadline deadline) try {
  if (auto not_here = state_->why_not_host()) return tl::unexpected(std::move(*not_here));
  return state_->host->shutdown(deadline);
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Stats Session::stats() const {
  if (!state_->origin.is_this_process()) return {};
  return detail::stats_of(state_->host ? *state_->host->session() : *state_->guest->session());
}

int Session::watch_fd() const noexcept {
  return state_->host ? state_->host->reactor().fd() : state_->guest->reactor().fd();
}

void Session::process_events() {
  if (!state_->origin.is_this_process()) return;
  (state_->host ? state_->host->reactor() : state_->guest->reactor()).dispatch();
}

}  // namespace mews::inline MEWS_LAYOUT
