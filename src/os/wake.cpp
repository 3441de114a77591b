// SPDX-License-Identifier: MIT
#include "mews/os/wake.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "mews/os/event_fd.hpp"
#include "mews/os/private_fd.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

// Besides the plugin's eventfd it polls `ready` and not the stream: that would report a hang-up
// before the host has dealt with it.
class HostEnd final : public WakeEnd {
 public:
  struct Fds {
    UniqueFd poll;
    UniqueFd ready;    ///< always readable
    PrivateFd stream;  ///< h
    PrivateFd event;   ///< the plugin may change its flags and fill it: neither read nor written
  };
  explicit HostEnd(Fds fds) noexcept : fds_(std::move(fds)) {}

  [[nodiscard]] int event_fd() const noexcept override { return fds_.poll.get(); }
  [[nodiscard]] int hang_up_fd() const noexcept override { return fds_.stream.get(); }

  // When the stream is full, the plugin's descriptor is readable already.
  void signal_other() noexcept override {
    const char byte = 0;
    while (::send(fds_.stream.get(), &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }

  // A new request for a descriptor that is ready counts as an edge.
  void signal_own() noexcept override {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
    (void)::epoll_ctl(fds_.poll.get(), EPOLL_CTL_MOD, fds_.ready.get(), &event);
  }

  // The kernel reports each edge once, together with all earlier ones.
  void drain() noexcept override {
    std::array<epoll_event, 2> events{};
    (void)::epoll_wait(fds_.poll.get(), events.data(), static_cast<int>(events.size()), 0);
  }

 private:
  Fds fds_;
};

class PluginEnd final : public WakeEnd {
 public:
  explicit PluginEnd(PluginWakeFds fds) noexcept
      : stream_(std::move(fds.stream)), event_(std::move(fds.event)) {}

  [[nodiscard]] int event_fd() const noexcept override { return stream_.get(); }
  [[nodiscard]] int hang_up_fd() const noexcept override { return stream_.get(); }
  void signal_other() noexcept override { signal_event_fd(event_.get()); }
  void signal_own() noexcept override { (void)::shutdown(stream_.get(), SHUT_RDWR); }
  void drain() noexcept override {
    std::array<std::byte, 512> bytes;
    for (;;) {
      const auto count = ::recv(stream_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      const bool may_have_more = count == static_cast<ssize_t>(bytes.size());
      if (!may_have_more && !(count < 0 && errno == EINTR)) return;
    }
  }

 private:
  PrivateFd stream_;
  PrivateFd event_;
};

Result<void> watch(int poll, int fd, std::uint32_t events) {
  epoll_event event{.events = events, .data = {}};
  if (::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return tl::unexpected(Error::os(errno, "epoll_ctl"));
}

}  // namespace

bool has_hung_up(int fd) noexcept {
  pollfd entry{.fd = fd, .events = 0, .revents = 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLHUP) != 0;
}

Result<WakePair> make_wake_pair() {
  std::array<int, 2> raw{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, raw.data()) != 0) {
    return tl::unexpected(Error::os(errno, "socketpair"));
  }
  auto host = own_fd(raw[0]);
  auto plugin = own_fd(raw[1]);
  if (!host || !plugin) return tl::unexpected(Error::os(EMFILE, "socketpair"));
  if (::shutdown(host.get(), SHUT_RD) != 0) return tl::unexpected(Error::os(errno, "shutdown"));
  auto event = make_event_fd();
  if (!event) return tl::unexpected(std::move(event.error()));
  auto plugin_event = duplicate(event->get());
  if (!plugin_event) return tl::unexpected(std::move(plugin_event.error()));
  auto ready = make_event_fd();
  if (!ready) return tl::unexpected(std::move(ready.error()));
  signal_event_fd(ready->get());
  auto poll = own_fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return tl::unexpected(Error::os(errno, "epoll_create1"));
  auto watched = watch(poll.get(), event->get(), EPOLLIN | EPOLLET);
  if (watched) watched = watch(poll.get(), ready->get(), EPOLLET);
  if (!watched) return tl::unexpected(std::move(watched.error()));
  return WakePair{
      .host = std::make_unique<HostEnd>(HostEnd::Fds{.poll = std::move(poll),
                                                     .ready = std::move(*ready),
                                                     .stream = PrivateFd(std::move(host)),
                                                     .event = PrivateFd(std::move(*event))}),
      .plugin = {.stream = std::move(plugin), .event = std::move(*plugin_event)}};
}

std::unique_ptr<WakeEnd> plugin_wake_end(PluginWakeFds fds) {
  return std::make_unique<PluginEnd>(std::move(fds));
}

}  // namespace mews::inline MEWS_LAYOUT::os
