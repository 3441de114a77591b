// SPDX-License-Identifier: MIT
#include "mews/os/wake.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "mews/os/event_fd.hpp"

namespace mews::os {
namespace {

class HostEnd final : public WakeEnd {
 public:
  HostEnd(UniqueFd poll, UniqueFd stream, UniqueFd event) noexcept
      : poll_(std::move(poll)), stream_(std::move(stream)), event_(std::move(event)) {}

  [[nodiscard]] int event_fd() const noexcept override { return poll_.get(); }
  [[nodiscard]] int hang_up_fd() const noexcept override { return stream_.get(); }

  // Where the stream is full, the plugin's descriptor is readable already.
  void signal_other() noexcept override {
    const char byte = 0;
    while (::send(stream_.get(), &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }

  // The stream, shut down for reading, is always readable: asking for that again is an edge.
  void signal_own() noexcept override {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
    (void)::epoll_ctl(poll_.get(), EPOLL_CTL_MOD, stream_.get(), &event);
  }

  // Each edge is reported once, and with it all that came before.
  void drain() noexcept override {
    std::array<epoll_event, 2> events{};
    (void)::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), 0);
  }

 private:
  UniqueFd poll_;
  UniqueFd stream_;
  UniqueFd event_;  ///< the plugin may change its flags and fill it: neither read nor written
};

class PluginEnd final : public WakeEnd {
 public:
  explicit PluginEnd(PluginWakeFds fds) noexcept : fds_(std::move(fds)) {}

  [[nodiscard]] int event_fd() const noexcept override { return fds_.stream.get(); }
  [[nodiscard]] int hang_up_fd() const noexcept override { return fds_.stream.get(); }
  void signal_other() noexcept override { signal_event_fd(fds_.event.get()); }
  void signal_own() noexcept override { (void)::shutdown(fds_.stream.get(), SHUT_RDWR); }
  void drain() noexcept override {
    std::array<std::byte, 512> bytes;
    for (;;) {
      const auto count = ::recv(fds_.stream.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      const bool may_have_more = count == static_cast<ssize_t>(bytes.size());
      if (!may_have_more && !(count < 0 && errno == EINTR)) return;
    }
  }

 private:
  PluginWakeFds fds_;
};

Result<void> watch(int poll, int fd, std::uint32_t events) {
  epoll_event event{.events = events, .data = {}};
  if (::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return tl::unexpected(Error::os(errno, "epoll_ctl"));
}

}  // namespace

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
  auto poll = own_fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return tl::unexpected(Error::os(errno, "epoll_create1"));
  auto watched = watch(poll.get(), event->get(), EPOLLIN | EPOLLET);
  if (watched) watched = watch(poll.get(), host.get(), EPOLLET);  // hang-up, which is always told
  if (!watched) return tl::unexpected(std::move(watched.error()));
  return WakePair{
      .host = std::make_unique<HostEnd>(std::move(poll), std::move(host), std::move(*event)),
      .plugin = {.stream = std::move(plugin), .event = std::move(*plugin_event)}};
}

std::unique_ptr<WakeEnd> plugin_wake_end(PluginWakeFds fds) {
  return std::make_unique<PluginEnd>(std::move(fds));
}

}  // namespace mews::os
