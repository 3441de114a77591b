// SPDX-License-Identifier: MIT
#include "mews/os/socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <thread>

#include "mews/os/closing.hpp"
#include "mews/os/process.hpp"
#include "poll_until.hpp"

#if !defined(SO_PEERPIDFD)
#define SO_PEERPIDFD 77
#endif

namespace mews::inline MEWS_LAYOUT::os {
namespace {

constexpr int kBacklog = 64;

struct Address {
  sockaddr_un name{};
  socklen_t bytes = 0;
  bool is_path = false;

  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&name);
  }
};

Result<Address> parse(const std::string& text) {
  Address address;
  address.is_path = !text.starts_with('@');
  // A path needs room for its NUL, an abstract name does not; both fit with one byte to spare.
  const std::size_t least = address.is_path ? 1 : 2;
  if (text.size() < least || text.size() >= sizeof address.name.sun_path ||
      text.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' is no socket address: use a path or @name of at most {} bytes",
                            text.substr(0, 200), sizeof address.name.sun_path - 1));
  }
  address.name.sun_family = AF_UNIX;
  std::ranges::copy(text, address.name.sun_path);
  if (!address.is_path) address.name.sun_path[0] = '\0';
  address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() +
                                         (address.is_path ? 1 : 0));
  return address;
}

Result<UniqueFd> make_socket(int extra_flags) {
  auto fd = own_fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | extra_flags, 0));
  if (!fd) return tl::unexpected(Error::os(errno, "socket"));
  return fd;
}

/// Holds the lock of the directory for a new socket. No other host may come between a host's bind
/// and its listen, or between a look at a dead host's path and its removal.
Result<UniqueFd> lock_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? std::string(".") : path.substr(0, slash + 1);
  auto fd = own_fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return tl::unexpected(Error::os(errno, "open", directory));
  // Any user may lock a directory with read permission, so this must not wait for ever.
  const Deadline deadline = std::chrono::seconds(2);
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    // A file system without locks: two hosts that start at the same moment may disturb each other.
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    if (deadline.has_passed())
      return fail(ErrorCode::timed_out, fmt::format("{} is locked by another process", directory));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return fd;
}

/// Removes the path of a socket without a listener; `already_exists` for any other path.
Result<void> remove_stale(const Address& address, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return tl::unexpected(Error::os(errno, "lstat", path));
  }
  // A connection to a file is refused, too, but that file is not ours to remove.
  if (!S_ISSOCK(status.st_mode))
    return fail(ErrorCode::already_exists, fmt::format("{} is not a socket", path));
  const auto probe = make_socket(SOCK_NONBLOCK);
  if (!probe) return tl::unexpected(probe.error());
  const int refusal = ::connect(probe->get(), address.get(), address.bytes) == 0 ? 0 : errno;
  if (refusal == EACCES || refusal == EPERM)
    return tl::unexpected(Error::os(refusal, "connect", path));
  if (refusal != ECONNREFUSED)
    return fail(ErrorCode::already_exists, fmt::format("a living process listens at {}", path));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return tl::unexpected(Error::os(errno, "unlink", path));
  return {};
}

/// Makes a socket whose mode the new path gets: the umask, which could do the same, belongs to
/// every thread.
Result<UniqueFd> make_listener(const Address& address, const std::string& text) {
  auto listener = make_socket(SOCK_NONBLOCK);
  if (listener && address.is_path && ::fchmod(listener->get(), S_IRUSR | S_IWUSR) != 0)
    return tl::unexpected(Error::os(errno, "fchmod", text));
  return listener;
}

Result<void> start_listening(int listener, const Address& address, const std::string& text) {
  if (::bind(listener, address.get(), address.bytes) != 0) {
    if (errno == EADDRINUSE) return fail(ErrorCode::already_exists, errno, text);
    return tl::unexpected(Error::os(errno, "bind", text));
  }
  // Before there are callers: accepted sockets inherit it. Without it, the code that closes those
  // sockets must see to it.
  (void)refuse_rights(listener);
  if (::listen(listener, kBacklog) != 0) return tl::unexpected(Error::os(errno, "listen", text));
  return {};
}

}  // namespace

Result<UniqueFd> listen_unix(const std::string& address) {
  const auto parsed = parse(address);
  if (!parsed) return tl::unexpected(parsed.error());
  auto listener = make_listener(*parsed, address);
  if (!listener) return listener;
  Result<UniqueFd> lock;
  if (parsed->is_path) {
    lock = lock_directory_of(address);
    if (!lock) return lock;
    if (auto removed = remove_stale(*parsed, address); !removed)
      return tl::unexpected(removed.error());
  }
  if (auto started = start_listening(listener->get(), *parsed, address); !started)
    return tl::unexpected(std::move(started.error()));
  return listener;
}

Result<UniqueFd> listen_at_own_path(const std::string& path) {
  const auto parsed = parse(path);
  if (!parsed) return tl::unexpected(parsed.error());
  auto listener = make_listener(*parsed, path);
  if (!listener) return listener;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return tl::unexpected(Error::os(errno, "unlink", path));
  if (auto started = start_listening(listener->get(), *parsed, path); !started)
    return tl::unexpected(std::move(started.error()));
  return listener;
}

Result<UniqueFd> accept_unix(int listener, Deadline deadline) {
  for (;;) {
    const short events = poll_until(listener, POLLIN | POLLRDHUP, deadline);
    if (events == 0) return fail(ErrorCode::timed_out, "no process asked for a connection");
    auto fd = own_fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) return fd;
    // A non-blocking listener that was shut down says EAGAIN for ever, while poll says "ready".
    const bool is_shut_down = (events & (POLLHUP | POLLRDHUP)) != 0;
    if (errno == EAGAIN && is_shut_down) return tl::unexpected(Error::os(EINVAL, "accept"));
    // Another thread accepted it, or the caller has gone again.
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
      return tl::unexpected(Error::os(errno, "accept"));
  }
}

Result<UniqueFd> connect_unix(const std::string& address, Deadline deadline) {
  const auto parsed = parse(address);
  if (!parsed) return tl::unexpected(parsed.error());
  auto fd = make_socket(0);
  if (!fd) return fd;
  for (;;) {
    // A full backlog cannot be polled for; the send timeout bounds a Unix connect.
    timeval wait{};
    if (!deadline.is_forever()) {
      const auto left = deadline.left() + std::chrono::microseconds(1);  // zero would be for ever
      const auto us = std::chrono::duration_cast<std::chrono::microseconds>(left).count();
      wait.tv_sec = static_cast<time_t>(us / 1'000'000);
      wait.tv_usec = static_cast<suseconds_t>(us % 1'000'000);
    }
    if (::setsockopt(fd->get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0)
      return tl::unexpected(Error::os(errno, "SO_SNDTIMEO", address));
    if (::connect(fd->get(), parsed->get(), parsed->bytes) == 0) return fd;
    if (errno == ENOENT || errno == ECONNREFUSED)
      return fail(ErrorCode::no_such_arena, errno, "nobody listens at " + address);
    if (errno != EAGAIN && errno != EINTR)
      return tl::unexpected(Error::os(errno, "connect", address));
    if (deadline.has_passed())
      return fail(ErrorCode::timed_out, address + " has more callers waiting than it accepts");
  }
}

Result<UniqueFd> peer_pidfd(int socket, pid_t pid) {
  int raw = -1;
  socklen_t bytes = sizeof raw;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &raw, &bytes) == 0) {
    auto fd = own_fd(raw);
    if (!fd) return tl::unexpected(Error::os(errno, "SO_PEERPIDFD"));
    return fd;
  }
  if (errno == ENOPROTOOPT) return open_pidfd(pid);
  // A reaped process has no pidfd.
  const bool is_gone = errno == EINVAL || errno == ENODATA || errno == ESRCH;
  return tl::unexpected(
      Error::os(is_gone ? ESRCH : errno, "SO_PEERPIDFD", fmt::format("process {}", pid)));
}

Result<PeerCredentials> peer_credentials(int socket) {
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0)
    return tl::unexpected(Error::os(errno, "SO_PEERCRED", fmt::format("descriptor {}", socket)));
  return PeerCredentials{.pid = credentials.pid, .uid = credentials.uid};
}

}  // namespace mews::inline MEWS_LAYOUT::os
