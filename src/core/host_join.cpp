// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "host_core.hpp"
#include "mews/os/event_fd.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"
#include "names.hpp"

// Processes that the host did not start: they ask at a socket, or live in the host itself.
namespace mews::detail {
namespace {

os::UniqueFd duplicate(int fd) {
  return os::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

// Who it is, by the kernel's word: the same user, and a descriptor for exactly that process.
Result<os::UniqueFd> identify(int socket, pid_t& pid) {
  const auto who = os::peer_credentials(socket);
  if (!who) return tl::unexpected(who.error());
  if (who->uid != ::geteuid()) {
    return fail(ErrorCode::permission_denied,
                fmt::format("process {} of user {} wanted to join; this arena is user {}'s",
                            who->pid, who->uid, ::geteuid()));
  }
  pid = who->pid;
  return os::open_pidfd(who->pid);
}

// One that asked, and gave up or died before its turn: the next one is to be served.
bool has_hung_up(const Error& error) noexcept {
  return error.code() == ErrorCode::closed || error.os_errno() == ESRCH;
}

}  // namespace

Result<void> HostCore::listen(const std::string& address) {
  const Lock lock(mutex_);
  if (listener_) return fail(ErrorCode::invalid_argument, "this session listens already");
  auto listener = os::listen_unix(address);
  if (!listener) return tl::unexpected(std::move(listener.error()));
  listener_ = std::move(*listener);
  return {};
}

Result<HostCore::Cast> HostCore::admit(Deadline deadline) {
  int listener = -1;
  {
    const Lock lock(mutex_);
    listener = listener_.get();
  }
  if (listener < 0) return fail(ErrorCode::invalid_argument, "admit() without listen()");
  for (;;) {
    auto admitted = admit_next(listener, deadline);
    if (admitted || !has_hung_up(admitted.error())) return admitted;
  }
}

Result<HostCore::Cast> HostCore::admit_next(int listener, Deadline deadline) {
  auto socket = os::accept_unix(listener, deadline);
  if (!socket) return tl::unexpected(std::move(socket.error()));
  auto plugin = std::make_shared<PluginCore>();
  plugin->host = weak_from_this();
  pid_t pid = -1;
  auto watched = identify(socket->get(), pid);
  if (!watched) {
    (void)refuse_seat(socket->get(), watched.error().code(), deadline);
    return tl::unexpected(std::move(watched.error()));
  }
  auto name = receive_hello(socket->get(), deadline);
  if (!name) return tl::unexpected(std::move(name.error()));
  plugin->name = name->empty() ? fmt::format("pid-{}", pid) : *name;

  const auto admitted = [&]() -> Result<std::shared_ptr<PluginProcess>> {
    const Lock lock(mutex_);
    if (auto room = check_room(); !room) return tl::unexpected(std::move(room.error()));
    return invite(plugin->name);
  }();
  if (!admitted) {
    (void)refuse_seat(socket->get(), admitted.error().code(), deadline);
    return tl::unexpected(admitted.error());
  }
  const auto& process = *admitted;
  process->pid = pid;
  process->watched = std::move(*watched);
  // Its word after we had its pidfd: the process behind that pid is the one that asked.
  auto taken = offer_seat(socket->get(), seat_of(*process), deadline);
  if (taken) taken = await_taken(socket->get(), deadline);
  const Lock lock(mutex_);
  if (!taken) {
    vacate(*process);
    return tl::unexpected(std::move(taken.error()));
  }
  plugin->current = process;
  if (auto watching = watch_process(plugin, process); !watching) {
    return tl::unexpected(std::move(watching.error()));
  }
  plugins_.push_back(plugin);
  return cast_of(plugin);
}

Result<HostCore::Local> HostCore::connect(const std::string& name) {
  if (auto bad = check_name(name)) return tl::unexpected(std::move(*bad));
  auto leave_event = os::make_event_fd();
  if (!leave_event) return tl::unexpected(std::move(leave_event.error()));
  auto plugin = std::make_shared<PluginCore>();
  plugin->name = name;
  plugin->host = weak_from_this();
  const Lock lock(mutex_);
  if (auto room = check_room(); !room) return tl::unexpected(std::move(room.error()));
  auto process = invite(name);
  if (!process) return tl::unexpected(std::move(process.error()));
  (*process)->pid = ::getpid();
  (*process)->watched = duplicate(leave_event->get());
  const auto seat = seat_of(**process);
  plugin->current = *process;
  if (auto watching = watch_process(plugin, *process); !watching) {
    vacate(**process);
    return tl::unexpected(std::move(watching.error()));
  }
  plugins_.push_back(plugin);
  Local local;
  local.cast = cast_of(plugin);
  local.invitation = {.peer = seat.peer,
                      .epoch = seat.epoch,
                      .arena = {},
                      .host_pidfd = duplicate(seat.host_pidfd),
                      .own_event = duplicate(seat.plugin_event),
                      .host_event = duplicate(seat.host_event)};
  local.leave_event = std::move(*leave_event);
  return local;
}

}  // namespace mews::detail
