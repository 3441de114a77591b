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

// Once for a caller to say its name, and once more for it to take its seat.
constexpr std::chrono::seconds kCallerTimeout{1};
// More callers wait in the listener's queue.
constexpr std::size_t kMostCallers = 128;
constexpr Deadline::Clock::duration kAtOnce{0};

// Returns whether to skip this caller and serve the next one. True for a caller that gave up, died
// or fell silent before it took its seat, that belongs to another user, or that sends garbage.
bool is_skipped(const Error& error) noexcept {
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

// Turns bad_alloc into an error: the caller gets an answer, and the serving thread goes on.
template <class Call>
auto or_out_of_memory(Call&& call) -> decltype(call()) try {
  return call();
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

// Asks the kernel for the caller's user and process: the user must be this one, and the pidfd is
// for exactly that process.
Result<os::UniqueFd> identify(int socket, pid_t& pid) {
  const auto who = os::peer_credentials(socket);
  if (!who) return tl::unexpected(who.error());
  if (who->uid != ::geteuid()) {
    return fail(ErrorCode::permission_denied,
                fmt::format("process {} of user {} asked to join; this arena belongs to user {}",
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
  // Lock and unlock: now no thread is between its look and its sleep.
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
               "the last process that asked was skipped: " + passed_over_->message());
}

Result<HostCore::PluginParts> HostCore::Admission::admit(Deadline deadline,
                                                         const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] { wake(); });
  std::unique_lock lock(mutex_);
  const auto passed_over_before = passed_over_count_;
  for (bool has_looked = false;; has_looked = true) {
    if (const auto why = why_not(stop)) return fail(*why);
    // At least one look, even if the deadline has passed.
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
    changed_.notify_all();  // another thread serves
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
    // The other events are still due: the next epoll_wait reports them.
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
    callers_.emplace_back();  // first: no memory is needed once the socket is accepted
    const auto caller = std::prev(callers_.end());
    auto socket = os::accept_unix(listener_.get(), kAtOnce);
    if (!socket) {
      callers_.erase(caller);
      if (socket.error().code() == ErrorCode::timed_out) return {};
      return tl::unexpected(std::move(socket.error()));
    }
    caller->socket = std::move(*socket);
    caller->can_send_fds = !os::refuse_rights(caller->socket.get());
    caller->deadline = kCallerTimeout;
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

// The caller has said its name, or hung up.
HostCore::Admission::Outcome HostCore::Admission::greet(Callers::iterator caller) {
  auto offered = or_out_of_memory([&] { return offer(*caller); });
  if (offered || offered.error().code() == ErrorCode::would_block) return {};
  if (caller->offered) {
    // The offer was not sent, so nobody else knows of the seat.
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
  // Watch it before the offer: from then on the host must see its death.
  auto parts = [&] {
    const Lock lock(host_.mutex_);
    return host_.admit_process(plugin, caller.pid, std::move(caller.pidfd));
  }();
  if (!parts) return tl::unexpected(std::move(parts.error()));
  caller.offered = std::move(*parts);
  caller.deadline = kCallerTimeout;
  auto& process = *caller.offered->process;
  auto sent = offer_seat(caller.socket.get(), host_.seat_of(process), kAtOnce);
  process.wake = {};
  return sent;
}

// The caller has confirmed its seat, or hung up, or its deadline has passed. The seat word decides:
// the caller may have taken its seat without a confirmation, or its confirmation came too late.
// Then it is admitted.
HostCore::Admission::Outcome HostCore::Admission::settle(Callers::iterator caller) {
  auto said = or_out_of_memory([&] { return receive_hello(caller->socket.get(), kAtOnce); });
  bool is_in = false;
  {
    const Lock lock(host_.mutex_);
    // A caller that took its seat and is already gone again counts as admitted.
    const bool is_gone = caller->offered->process->is_dead;
    is_in = is_gone ? said.has_value() : !host_.withdraw(caller->offered->plugin);
  }
  if (is_in) return see_off(caller, *std::move(caller->offered));
  if (said) said = fail(ErrorCode::peer_corrupt, "it confirmed its seat, but had not taken it");
  return let_pass(caller, std::move(said.error()));
}

HostCore::Admission::Outcome HostCore::Admission::let_pass(Callers::iterator caller, Error why) {
  (void)refuse_seat(caller->socket.get(), why.code(), kAtOnce);
  if (!is_skipped(why)) return see_off(caller, Result<PluginParts>(tl::unexpected(std::move(why))));
  {
    const std::lock_guard lock(mutex_);
    passed_over_ = std::move(why);
    ++passed_over_count_;
  }
  return see_off(caller, std::nullopt);
}

// Erases the entry, and with it the lease of an offered seat that the caller did not take: not with
// the host's mutex held.
HostCore::Admission::Outcome HostCore::Admission::see_off(Callers::iterator caller,
                                                          Outcome outcome) {
  if (caller->can_send_fds) os::close_where_nobody_waits(std::move(caller->socket));
  if (callers_.size() == kMostCallers) watch_listener(EPOLLIN);
  callers_.erase(caller);
  return outcome;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
