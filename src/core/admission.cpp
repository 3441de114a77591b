// SPDX-License-Identifier: MIT
#include "admission.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "mews/os/closing.hpp"
#include "mews/os/event_fd.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

// For a caller to say its name, and then again to take its seat.
constexpr std::chrono::seconds kPatience{1};
// The others wait in the listener's queue.
constexpr std::size_t kMostCallers = 128;
constexpr Deadline::Clock::duration kAtOnce{0};

// One that asked and gave up, died or fell silent before it sat, or is of another user, or says
// what this library does not understand: the next one is to be served.
bool is_passed_over(const Error& error) noexcept {
  switch (error.code()) {
    case ErrorCode::closed:
    case ErrorCode::timed_out:
    case ErrorCode::version_mismatch:
    case ErrorCode::not_an_arena:
    case ErrorCode::peer_corrupt:
    case ErrorCode::permission_denied:
      return true;
    default:
      return error.os_errno() == ESRCH;
  }
}

// The caller is to be told, and the thread that serves to go on.
template <class Call>
auto or_out_of_memory(Call&& call) -> decltype(call()) try {
  return call();
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
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
  return os::peer_pidfd(socket, who->pid);
}

}  // namespace

Result<std::unique_ptr<HostCore::Admission>> HostCore::Admission::make(HostCore& host,
                                                                       os::UniqueFd listener) {
  auto poll = os::own_fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return tl::unexpected(Error::os(errno, "epoll_create1"));
  auto wake = os::make_event_fd();
  if (!wake) return tl::unexpected(std::move(wake.error()));
  std::unique_ptr<Admission> made(
      new Admission(host, std::move(listener), std::move(poll), std::move(*wake)));
  auto watched = made->watch(made->listener_.get(), &made->listener_);
  if (watched) watched = made->watch(made->wake_.get(), &made->wake_);
  if (!watched) return tl::unexpected(std::move(watched.error()));
  return made;
}

HostCore::Admission::~Admission() {
  for (auto& caller : callers_)
    if (caller.can_send_fds) os::close_where_nobody_waits(std::move(caller.socket));
}

Result<void> HostCore::Admission::watch(int fd, void* what) noexcept {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = what}};
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return tl::unexpected(Error::os(errno, "epoll_ctl"));
}

void HostCore::Admission::watch_listener(std::uint32_t events) noexcept {
  epoll_event event{.events = events, .data = {.ptr = &listener_}};
  (void)::epoll_ctl(poll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
}

void HostCore::Admission::wake() noexcept {
  os::signal_event_fd(wake_.get());
  // Nobody is between its look and its sleep then.
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();
}

std::optional<ErrorCode> HostCore::Admission::why_not(const std::stop_token& stop) {
  if (stop.stop_requested()) return ErrorCode::cancelled;
  const Lock lock(host_.mutex_);
  return host_.is_shutting_down_ ? std::optional(ErrorCode::closed) : std::nullopt;
}

Error HostCore::Admission::nobody_came(std::uint64_t passed_over_before) const {
  if (passed_over_count_ == passed_over_before) {
    return Error(ErrorCode::timed_out, "no process asked for a connection");
  }
  return Error(ErrorCode::timed_out,
               "the last that asked was passed over: " + passed_over_->message());
}

Result<HostCore::PluginParts> HostCore::Admission::admit(Deadline deadline,
                                                         const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] { wake(); });
  std::unique_lock lock(mutex_);
  const auto passed_over_before = passed_over_count_;
  for (bool has_looked = false;; has_looked = true) {
    if (const auto why = why_not(stop)) return fail(*why);
    // One look in any case.
    if (has_looked && deadline.has_passed()) {
      return tl::unexpected(nobody_came(passed_over_before));
    }
    if (is_served_) {
      if (deadline.is_forever()) {
        changed_.wait(lock);
      } else {
        changed_.wait_until(lock, deadline.at());
      }
      continue;
    }
    is_served_ = true;
    lock.unlock();
    auto outcome = or_out_of_memory([&] { return serve(deadline); });
    lock.lock();
    is_served_ = false;
    changed_.notify_all();  // another one goes on
    if (outcome) return *std::move(outcome);
  }
}

Deadline HostCore::Admission::next_patience() const noexcept {
  auto next = Deadline(forever).at();
  for (const auto& caller : callers_)
    next = std::min(next, caller.deadline.at());
  return next;
}

HostCore::Admission::Outcome HostCore::Admission::serve(Deadline deadline) {
  const Deadline until(std::min(deadline.at(), next_patience().at()));
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      std::min<Deadline::Clock::duration>(until.left(), std::chrono::hours(1)));
  std::array<epoll_event, 16> events{};
  const int count = ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(left.count()));
  for (int i = 0; i < count; ++i) {
    const void* const what = events[static_cast<std::size_t>(i)].data.ptr;
    Outcome outcome;
    if (what == &wake_) {
      os::drain_event_fd(wake_.get());
    } else if (what == &listener_) {
      outcome = accept_all();
    } else {
      const auto caller = std::ranges::find_if(callers_, [&](auto& c) { return &c == what; });
      if (caller != callers_.end()) outcome = caller->offered ? settle(caller) : greet(caller);
    }
    // What else is due is reported again.
    if (outcome) return outcome;
  }
  for (auto caller = callers_.begin(); caller != callers_.end();) {
    const auto late = caller++;
    if (!late->deadline.has_passed()) continue;
    auto outcome = late->offered
                       ? settle(late)
                       : let_pass(late, Error(ErrorCode::timed_out, "it did not say its name"));
    if (outcome) return outcome;
  }
  return {};
}

HostCore::Admission::Outcome HostCore::Admission::accept_all() {
  while (callers_.size() < kMostCallers) {
    callers_.emplace_back();  // first: what comes is not to be lost for want of memory
    const auto caller = std::prev(callers_.end());
    auto socket = os::accept_unix(listener_.get(), kAtOnce);
    if (!socket) {
      callers_.erase(caller);
      if (socket.error().code() == ErrorCode::timed_out) return {};
      return tl::unexpected(std::move(socket.error()));
    }
    caller->socket = std::move(*socket);
    caller->can_send_fds = !os::refuse_rights(caller->socket.get());
    caller->deadline = kPatience;
    auto known = or_out_of_memory([&]() -> Result<void> {
      auto pidfd = identify(caller->socket.get(), caller->pid);
      if (!pidfd) return tl::unexpected(std::move(pidfd.error()));
      caller->pidfd = std::move(*pidfd);
      return watch(caller->socket.get(), &*caller);
    });
    if (known) continue;
    if (auto outcome = let_pass(caller, std::move(known.error()))) return outcome;
  }
  watch_listener(0);  // until there is room
  return {};
}

// It has said its name, or hung up.
HostCore::Admission::Outcome HostCore::Admission::greet(Callers::iterator caller) {
  auto offered = or_out_of_memory([&] { return offer(*caller); });
  if (offered || offered.error().code() == ErrorCode::would_block) return {};
  if (caller->offered) {
    // Nobody else knows of the seat, as the offer did not go out.
    const Lock lock(host_.mutex_);
    (void)host_.withdraw(caller->offered->plugin);
  }
  return let_pass(caller, std::move(offered.error()));
}

Result<void> HostCore::Admission::offer(Caller& caller) {
  auto plugin = std::make_shared<PluginCore>();
  plugin->host = host_.weak_from_this();
  auto name = receive_hello(caller.socket.get(), kAtOnce);
  if (!name && name.error().code() == ErrorCode::timed_out) return fail(ErrorCode::would_block);
  if (!name) return tl::unexpected(std::move(name.error()));
  plugin->name = name->empty() ? fmt::format("pid-{}", caller.pid) : *name;
  // Watched before it is offered a seat: from then on its death must be seen.
  auto cast = [&] {
    const Lock lock(host_.mutex_);
    return host_.admit_process(plugin, caller.pid, std::move(caller.pidfd));
  }();
  if (!cast) return tl::unexpected(std::move(cast.error()));
  caller.offered = std::move(*cast);
  caller.deadline = kPatience;
  auto& process = *caller.offered->process;
  auto sent = offer_seat(caller.socket.get(), host_.seat_of(process), kAtOnce);
  process.wake = {};
  return sent;
}

// It has said that it sits, or hung up, or its deadline has passed. Only the seat itself tells: it
// may have sat down without a word, or too late for us to hear it; then it is in.
HostCore::Admission::Outcome HostCore::Admission::settle(Callers::iterator caller) {
  auto said = or_out_of_memory([&] { return receive_hello(caller->socket.get(), kAtOnce); });
  bool is_in = false;
  {
    const Lock lock(host_.mutex_);
    // One that has sat down and is gone again is in as well.
    const bool is_gone = caller->offered->process->is_dead;
    is_in = is_gone ? said.has_value() : !host_.withdraw(caller->offered->plugin);
  }
  if (is_in) return see_off(caller, *std::move(caller->offered));
  if (said) said = fail(ErrorCode::peer_corrupt, "it said that it sits, and did not");
  return let_pass(caller, std::move(said.error()));
}

HostCore::Admission::Outcome HostCore::Admission::let_pass(Callers::iterator caller, Error why) {
  (void)refuse_seat(caller->socket.get(), why.code(), kAtOnce);
  if (!is_passed_over(why))
    return see_off(caller, Result<PluginParts>(tl::unexpected(std::move(why))));
  {
    const std::lock_guard lock(mutex_);
    passed_over_ = std::move(why);
    ++passed_over_count_;
  }
  return see_off(caller, std::nullopt);
}

// Its offered seat, if it has not taken it, goes with the entry: not with the host's mutex held.
HostCore::Admission::Outcome HostCore::Admission::see_off(Callers::iterator caller,
                                                          Outcome outcome) {
  if (caller->can_send_fds) os::close_where_nobody_waits(std::move(caller->socket));
  if (callers_.size() == kMostCallers) watch_listener(EPOLLIN);
  callers_.erase(caller);
  return outcome;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
