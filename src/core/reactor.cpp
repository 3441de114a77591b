// SPDX-License-Identifier: MIT
#include "reactor.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "mews/base/assert.hpp"
#include "mews/os/event_fd.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

Result<std::unique_ptr<Reactor>> Reactor::make(Watcher kind) {
  auto epoll = os::own_fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return tl::unexpected(Error::os(errno, "epoll_create1"));
  auto wake_event = os::make_event_fd();
  if (!wake_event) return tl::unexpected(std::move(wake_event.error()));
  std::unique_ptr<Reactor> reactor(new Reactor(std::move(epoll), std::move(*wake_event)));
  if (kind == Watcher::thread) {
    if (auto started = reactor->start(); !started)
      return tl::unexpected(std::move(started.error()));
  }
  return reactor;
}

Result<void> Reactor::start() {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_event_.get(), &event) != 0) {
    return tl::unexpected(Error::os(errno, "epoll_ctl"));
  }
  // The program's signals are for its own threads: the new thread inherits a full mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<void> started;
  try {
    has_thread_ = true;  // first: the thread may ask
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    has_thread_ = false;
    started = tl::unexpected(Error::os(failure.code().value(), "starting the watcher thread"));
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

Result<std::uint64_t> Reactor::add(int fd, std::function<void()> handler) {
  return add_events(fd, EPOLLIN, std::move(handler));
}

// epoll reports a hang-up whatever the events are.
Result<std::uint64_t> Reactor::add_hang_up(int fd, std::function<void()> handler) {
  return add_events(fd, 0, std::move(handler));
}

Result<std::uint64_t> Reactor::add_events(int fd, std::uint32_t events,
                                          std::function<void()> handler) {
  const std::lock_guard lock(entries_mutex_);
  const auto id = next_id_++;
  // The entry first: if it cannot be allocated, nothing has changed.
  const auto entry =
      entries_.emplace(id, Entry{fd, std::make_shared<std::function<void()>>(std::move(handler))})
          .first;
  epoll_event event{.events = events | EPOLLONESHOT, .data = {.u64 = id}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    const int failure = errno;
    entries_.erase(entry);
    return tl::unexpected(Error::os(failure, "epoll_ctl"));
  }
  return id;
}

void Reactor::remove(std::uint64_t id) noexcept {
  const std::lock_guard lock(entries_mutex_);
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry->second.fd, nullptr);
  entries_.erase(entry);
}

void Reactor::rearm(std::uint64_t id) noexcept {
  const std::lock_guard lock(entries_mutex_);
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return;
  epoll_event event{.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = id}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, entry->second.fd, &event);
}

bool Reactor::dispatch_once(int timeout_ms) {
  std::array<epoll_event, 16> events{};
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  bool goes_on = true;
  for (int i = 0; i < count; ++i) {
    const auto id = events[static_cast<std::size_t>(i)].data.u64;
    if (id == 0) {
      goes_on = false;
      continue;
    }
    const std::lock_guard running(running_);
    std::shared_ptr<std::function<void()>> handler;
    {
      const std::lock_guard lock(entries_mutex_);
      const auto entry = entries_.find(id);
      if (entry != entries_.end()) handler = entry->second.handler;
    }
    if (handler) (*handler)();
  }
  return goes_on;
}

void Reactor::run() {
  while (dispatch_once(-1)) {
  }
}

void Reactor::dispatch() {
  dispatch_once(0);
}

void Reactor::wait(Deadline deadline) {
  MEWS_ASSERT(!has_thread(), "Reactor::wait: the reactor has a thread of its own");
  std::array<pollfd, 2> either{{{.fd = epoll_.get(), .events = POLLIN, .revents = 0},
                                {.fd = wake_event_.get(), .events = POLLIN, .revents = 0}}};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      std::min<Deadline::Clock::duration>(deadline.left(), std::chrono::hours(1)));
  ::poll(either.data(), either.size(), static_cast<int>(left.count()));
  os::drain_event_fd(wake_event_.get());
  dispatch();
}

void Reactor::wake() noexcept {
  // A thread of the reactor's own is not in `wait`, and the event would stop it.
  if (!has_thread()) os::signal_event_fd(wake_event_.get());
}

void Reactor::stop() {
  if (!thread_.joinable()) return;
  os::signal_event_fd(wake_event_.get());
  thread_.join();
}

}  // namespace mews::inline MEWS_LAYOUT::detail
