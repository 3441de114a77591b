// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <new>

#include "host_core.hpp"
#include "mews/os/event_fd.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"
#include "names.hpp"

// Processes that the host did not start: they ask at a socket, or live in the host itself.
namespace mews::detail {
namespace {

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

// For a caller to say its name and to take its seat. One that is stuck keeps the others waiting.
constexpr std::chrono::seconds kHandshake{1};

// One that asked and gave up, died or fell silent before it sat, or that says what this library
// does not understand: the next one is to be served.
bool is_passed_over(const Error& error) noexcept {
  switch (error.code()) {
    case ErrorCode::closed:
    case ErrorCode::timed_out:
    case ErrorCode::version_mismatch:
    case ErrorCode::not_an_arena:
    case ErrorCode::peer_corrupt:
      return true;
    default:
      return error.os_errno() == ESRCH;
  }
}

Error nobody_sat(const Error& last) {
  return Error(ErrorCode::timed_out, "the last that asked was passed over: " + last.message());
}

Result<void> hand_over(int socket, const Seat& seat, Deadline deadline) try {
  auto offered = offer_seat(socket, seat, deadline);
  return offered ? await_taken(socket, deadline) : offered;
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);  // and not past the caller, who has given out a seat
}

// The path of a listening socket, unless somebody else's has come to lie there.
AtEnd removal_of_socket(const std::string& address) {
  if (address.starts_with('@')) return {};
  std::error_code ignored;
  const auto path = std::filesystem::absolute(address, ignored);
  struct stat ours {};
  if (::lstat(path.c_str(), &ours) != 0) return {};
  return AtEnd([path, ours] {
    struct stat there {};
    if (::lstat(path.c_str(), &there) == 0 && there.st_dev == ours.st_dev &&
        there.st_ino == ours.st_ino) {
      ::unlink(path.c_str());
    }
  });
}

}  // namespace

Result<void> HostCore::listen(const std::string& address) {
  const Lock lock(mutex_);
  if (auto open = check_open(); !open) return open;
  if (listener_) return fail(ErrorCode::invalid_argument, "this session listens already");
  auto listener = os::listen_unix(address);
  if (!listener) return tl::unexpected(std::move(listener.error()));
  listener_ = std::move(*listener);
  remove_socket_ = removal_of_socket(address);
  return {};
}

Result<HostCore::Cast> HostCore::admit(Deadline deadline) {
  int listener = -1;
  {
    const Lock lock(mutex_);
    if (auto open = check_open(); !open) return tl::unexpected(std::move(open.error()));
    listener = listener_.get();
  }
  if (listener < 0) return fail(ErrorCode::invalid_argument, "admit() without listen()");
  std::optional<Error> passed_over;
  // One is heard in any case; after the deadline the next would have no time.
  while (!passed_over || !deadline.has_passed()) {
    auto socket = os::accept_unix(listener, deadline);
    if (!socket) {
      if (passed_over && socket.error().code() == ErrorCode::timed_out) break;
      return tl::unexpected(std::move(socket.error()));
    }
    const Deadline patience(std::min(deadline.at(), Deadline(kHandshake).at()));
    auto admitted = admit_caller(socket->get(), patience);
    if (admitted) return admitted;
    (void)refuse_seat(socket->get(), admitted.error().code(), patience);
    if (!is_passed_over(admitted.error())) return admitted;
    passed_over = std::move(admitted.error());
  }
  return tl::unexpected(nobody_sat(*passed_over));
}

Result<HostCore::Cast> HostCore::admit_caller(int socket, Deadline deadline) try {
  auto plugin = std::make_shared<PluginCore>();
  plugin->host = weak_from_this();
  pid_t pid = -1;
  auto watched = identify(socket, pid);
  if (!watched) return tl::unexpected(std::move(watched.error()));
  auto name = receive_hello(socket, deadline);
  if (!name) return tl::unexpected(std::move(name.error()));
  plugin->name = name->empty() ? fmt::format("pid-{}", pid) : *name;

  // Watched before it is offered a seat: from then on its death must be seen.
  auto cast = [&] {
    const Lock lock(mutex_);
    return seat(plugin, pid, std::move(*watched));
  }();
  if (!cast) return cast;
  auto& process = *cast->process;
  // Its word after we had its pidfd: the process behind that pid is the one that asked.
  auto taken = hand_over(socket, seat_of(process), deadline);
  {
    const Lock lock(mutex_);
    process.wake = {};
    const bool is_gone = process.is_dead;
    // It may have sat down without a word, or too late for us to hear it: then it is in.
    if (taken || !(is_gone || withdraw(plugin))) return cast;
  }
  return tl::unexpected(std::move(taken.error()));
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);  // the caller is to be told
}

Result<HostCore::Cast> HostCore::seat(const std::shared_ptr<PluginCore>& plugin, pid_t pid,
                                      os::UniqueFd watched) {
  if (auto open = check_open(); !open) return tl::unexpected(std::move(open.error()));
  if (auto room = check_room(); !room) return tl::unexpected(std::move(room.error()));
  auto holding = std::make_shared<Holding>();
  auto process = invite(plugin->name);
  if (!process) return tl::unexpected(std::move(process.error()));
  SeatGuard guard(*this, **process);
  (*process)->pid = pid;
  (*process)->watched = std::move(watched);
  plugin->current = *process;
  if (auto watching = watch_process(plugin, *process); !watching) {
    return tl::unexpected(std::move(watching.error()));
  }
  guard.keep();
  plugins_.push_back(plugin);
  return cast_of(plugin, *process, std::move(holding));
}

Result<HostCore::Local> HostCore::connect(const std::string& name) {
  if (auto bad = check_name(name)) return tl::unexpected(std::move(*bad));
  auto leave_event = os::make_event_fd();
  if (!leave_event) return tl::unexpected(std::move(leave_event.error()));
  auto watched = os::duplicate(leave_event->get());
  if (!watched) return tl::unexpected(std::move(watched.error()));
  auto host_pidfd = os::duplicate(own_pidfd_.get());
  if (!host_pidfd) return tl::unexpected(std::move(host_pidfd.error()));
  auto plugin = std::make_shared<PluginCore>();
  plugin->name = name;
  plugin->host = weak_from_this();
  auto cast = [&] {
    const Lock lock(mutex_);
    return seat(plugin, ::getpid(), std::move(*watched));
  }();
  if (!cast) return tl::unexpected(std::move(cast.error()));
  const auto process = cast->process;
  return Local{.cast = std::move(*cast),
               .invitation = {.peer = process->peer,
                              .epoch = process->epoch,
                              .arena = {},
                              .host_pidfd = std::move(*host_pidfd),
                              .wake = std::move(process->wake)},
               .leave_signal = LeaveSignal(std::move(*leave_event))};
}

}  // namespace mews::detail
