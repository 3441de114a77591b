// SPDX-License-Identifier: MIT
#include "mews/wait_set.hpp"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/link_root.hpp"
#include "core/longest_sleep.hpp"
#include "core/texts.hpp"
#include "core/wake_on_stop.hpp"
#include "mews/base/leak.hpp"
#include "mews/detail/fork_stamp.hpp"
#include "mews/os/event_fd.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/os/unique_fd.hpp"
#include "mews/sync/spin.hpp"

namespace mews::inline MEWS_LAYOUT {
namespace {

/// With so many members a look at all of them is cheap.
constexpr std::size_t kFewMembers = 32;
/// Among the keys of the members.
constexpr std::uint64_t kOwnEvent = ~std::uint64_t{0};
/// A channel's descriptor stays readable until it is drained, one that has ended for ever; that a
/// member is ready is seen by looking at it. So only what is new may end a sleep.
constexpr std::uint32_t kOnce = EPOLLIN | EPOLLET;

/// Has passed; to make it reads no clock.
constexpr auto kAtOnce = Deadline::Clock::time_point::min();

using Ready = WaitSet::Ready;

struct Member {
  std::uint64_t key;
  std::shared_ptr<detail::ChannelCore> channel;  ///< null: a descriptor of the program's
  std::shared_ptr<detail::LinkCore> link;        ///< over the channel, if there is one
  int fd;

  [[nodiscard]] bool has_news() const noexcept {
    return link ? link->has_news() : channel && channel->has_news();
  }
  [[nodiscard]] Result<sync::ArmFence> arm() const {
    return link ? link->arm_one_of_many() : channel->arm_one_of_many();
  }
};

/// Room for `count` at once, without moving all at each call.
template <class Value>
void make_room(std::vector<Value>& values, std::size_t count) {
  if (values.capacity() < count) values.reserve(std::max(count, 2 * values.capacity()));
}

/// `epoll_wait` until the deadline. Rounded up to a millisecond before Linux 5.11.
int wait_for_events(int poll, std::vector<epoll_event>& events, Deadline deadline) {
  constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24);
  const auto left = std::min<std::chrono::nanoseconds>(deadline.left(), kLongest);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  const auto room = static_cast<int>(events.size());
#if defined(SYS_epoll_pwait2)
  const auto count = ::syscall(SYS_epoll_pwait2, poll, events.data(), room,
                               deadline.is_forever() ? nullptr : &timeout, nullptr, 0);
  if (count >= 0 || errno != ENOSYS) return static_cast<int>(count);
#endif
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return ::epoll_wait(poll, events.data(), room,
                      deadline.is_forever() ? -1 : static_cast<int>(milliseconds));
}

}  // namespace

/// word      writer      readers           publish / observe           protects
/// is_woken  `wake`, the  the waiting one  release / acquire, in       what the waker did before
///           waiting one                   `wake` and `take_wake`
struct [[gnu::visibility("hidden")]] WaitSet::State {
  os::UniqueFd poll;
  os::UniqueFd own;  ///< written to by `wake`, and by a stop
  std::atomic<bool> is_woken{false};
  std::vector<Member> members;
  std::unordered_map<std::uint64_t, std::size_t> places;  ///< of the members, by key
  std::vector<std::size_t> hot;                           ///< places: ready at the last look at all
  std::vector<Ready> ready;
  std::vector<epoll_event> events;
  std::size_t descriptors = 0;
  std::size_t next_looked = 0;  ///< by a spin
  bool is_hot_turn = false;
  bool is_one_in_use = false;  ///< another thread receives from a member, which is not armed so
  std::optional<sync::SpinBudget> spin;
  std::shared_ptr<const mem::Arena> turns_owner;  ///< of the budget's
  detail::ForkStamp origin;
  base::LeakedNode leaked;

  Result<void> add(Member member, std::uint32_t wanted) try {
    if (member.key == kOwnEvent) return fail(ErrorCode::invalid_argument, "the key 2^64 - 1");
    if (places.contains(member.key)) return fail(ErrorCode::already_exists, "a member of that key");
    const auto count = members.size() + 1;
    make_room(members, count);
    make_room(hot, count);
    make_room(ready, count);
    events.resize(count + 1);
    const auto [place, is_new] = places.emplace(member.key, members.size());
    epoll_event event{.events = wanted, .data = {.u64 = member.key}};
    if (::epoll_ctl(poll.get(), EPOLL_CTL_ADD, member.fd, &event) != 0) {
      const int error = errno;
      places.erase(place);
      return tl::unexpected(not_added(error));
    }
    if (!member.channel) ++descriptors;
    members.push_back(std::move(member));
    return {};
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory);
  }

  Result<void> add_channel(Member member) {
    const auto channel = member.channel;
    auto added = add(std::move(member), kOnce);
    if (added && !spin) {
      auto& context = channel->session();
      turns_owner = context.shared_arena();
      spin.emplace(context.spin_limit(), context.turns());
    }
    return added;
  }

  static Error not_added(int error) {
    switch (error) {
      case EEXIST:
        return {ErrorCode::already_exists, error, "it is a member already, by another key"};
      case EBADF:
      case EPERM:
      case EINVAL:
      case ELOOP:
        return {ErrorCode::invalid_argument, error, "this descriptor cannot be polled"};
      default:
        return Error::os(error, "epoll_ctl");
    }
  }

  bool remove(std::uint64_t key) noexcept {
    const auto found = places.find(key);
    if (found == places.end()) return false;
    const auto place = found->second;
    (void)::epoll_ctl(poll.get(), EPOLL_CTL_DEL, members[place].fd, nullptr);
    if (!members[place].channel) --descriptors;
    places.erase(found);
    if (place + 1 != members.size()) {
      members[place] = std::move(members.back());
      places.find(members[place].key)->second = place;
    }
    members.pop_back();
    hot.clear();
    return true;
  }

  void report(const Member& member, std::uint32_t seen) {
    ready.push_back({member.key, seen});
  }

  /// Reports what is ready. Makes no system call unless there are descriptors.
  [[nodiscard]] bool look() {
    ready.clear();
    const bool is_hot = is_hot_turn && members.size() > kFewMembers;
    is_hot_turn = !is_hot_turn;
    if (is_hot) {
      for (const auto place : hot)
        if (members[place].has_news()) report(members[place], EPOLLIN);
      if (!ready.empty()) return true;
    }
    look_at_channels();
    if (descriptors > 0) take_events(kAtOnce);
    return !ready.empty();
  }

  void look_at_channels() {
    hot.clear();
    for (std::size_t place = 0; place < members.size(); ++place) {
      if (!members[place].has_news()) continue;
      hot.push_back(place);
      report(members[place], EPOLLIN);
    }
  }

  [[nodiscard]] bool is_wake_due() const noexcept {
    // Relaxed: `take_wake` follows. Once the event of `wake` was taken off, this is seen to be
    // true.
    return is_woken.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool take_wake() noexcept {
    // Acquire: what the waker did before is seen by the thread that it woke; partner: `wake`.
    return is_wake_due() && is_woken.exchange(false, std::memory_order_acquire);
  }

  /// For a spin: a few channels at each call.
  [[nodiscard]] bool has_any_news() {
    if (is_wake_due()) return true;
    const auto count = std::min(members.size(), kFewMembers);
    for (std::size_t i = 0; i < count; ++i) {
      next_looked = next_looked + 1 < members.size() ? next_looked + 1 : 0;
      if (members[next_looked].has_news()) return true;
    }
    return false;
  }

  /// Takes off what has happened, after it has waited for something. Reports descriptors; what else
  /// has happened, the caller must look for before it takes events again.
  void take_events(Deadline deadline) {
    const int count = wait_for_events(poll.get(), events, deadline);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      const auto found = places.find(event.data.u64);
      if (found == places.end()) continue;
      const auto& member = members[found->second];
      if (!member.channel) report(member, event.events);
    }
  }

  /// Arms all channels, then reports those that are ready already. From then on each event ends a
  /// sleep, so none may be taken off before.
  Result<void> arm() {
    ready.clear();
    auto armed = arm_channels();
    if (!armed) return armed;
    look_at_channels();
    is_hot_turn = false;  // descriptors were not looked at
    return {};
  }

  // What is armed counts as armed from now on, so the fence is paid after a failure as well.
  Result<void> arm_channels() {
    Result<void> armed;
    auto due = sync::ArmFence::full;
    is_one_in_use = false;
    for (const auto& member : members) {
      if (!member.channel) continue;
      const auto owed = member.arm();
      if (owed && *owed == sync::ArmFence::heavy) due = sync::ArmFence::heavy;
      if (owed) continue;
      is_one_in_use = is_one_in_use || owed.error().code() == ErrorCode::concurrent_use;
      if (owed.error().code() != ErrorCode::concurrent_use) armed = tl::unexpected(owed.error());
    }
    sync::Doorbell::fence_armed(due);
    if (armed && os::is_light_fence_broken())
      return fail(ErrorCode::os_error, detail::kFenceForbidden);
    return armed;
  }

  Result<std::span<const Ready>> wait(const detail::Until& until);
  Result<bool> arm_event();
};

Result<std::span<const Ready>> WaitSet::State::wait(const detail::Until& until) {
  const detail::WakeOnStop stop(until, [this] { os::signal_event_fd(own.get()); });
  for (bool is_first = true;; is_first = false) {
    if (take_wake()) return std::span<const Ready>();
    if (look()) {
      // A thread that always finds something never sleeps.
      if (is_first && spin) spin->take_turn();
      return std::span<const Ready>(ready);
    }
    if (until.is_cancelled()) return fail(ErrorCode::cancelled);
    if (until.deadline.has_passed()) return fail(ErrorCode::timed_out, "no member became ready");
    if (spin && spin->spin([this] { return has_any_news(); }, until.deadline)) continue;
    auto armed = arm();
    if (!armed) return tl::unexpected(std::move(armed.error()));
    if (!ready.empty()) return std::span<const Ready>(ready);
    if (is_wake_due() || until.is_cancelled()) continue;
    // A member that is in use may be left with something to receive, and nobody says so.
    take_events(is_one_in_use ? until.deadline.within(detail::longest_sleep) : until.deadline);
    if (spin) spin->learn(until.began);
    // Of descriptors alone: the next wait looks at the channels.
    if (!ready.empty()) return std::span<const Ready>(ready);
  }
}

Result<bool> WaitSet::State::arm_event() {
  ready.clear();
  take_events(kAtOnce);
  if (!ready.empty() || is_wake_due()) return false;
  auto armed = arm();
  if (!armed) return tl::unexpected(std::move(armed.error()));
  if (!ready.empty()) return false;
  if (is_one_in_use) return fail(ErrorCode::concurrent_use);
  return true;
}

WaitSet::WaitSet(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
WaitSet::WaitSet(WaitSet&&) noexcept = default;
WaitSet& WaitSet::operator=(WaitSet&& other) noexcept {
  // By the destructor, which leaves a forked child's alone.
  const WaitSet former(std::exchange(state_, std::move(other.state_)));
  return *this;
}
WaitSet::~WaitSet() {
  if (state_ && !state_->origin.is_this_process()) {
    base::leak_on_purpose(state_.release()->leaked);
  }
}

Result<WaitSet> WaitSet::create() try {
  auto state = std::make_unique<State>();
  state->events.resize(1);
  state->poll = os::own_fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!state->poll) return tl::unexpected(Error::os(errno, "epoll_create1"));
  auto event = os::make_event_fd();
  if (!event) return tl::unexpected(std::move(event.error()));
  state->own = std::move(*event);
  epoll_event wanted{.events = kOnce, .data = {.u64 = kOwnEvent}};
  if (::epoll_ctl(state->poll.get(), EPOLL_CTL_ADD, state->own.get(), &wanted) != 0) {
    return tl::unexpected(Error::os(errno, "epoll_ctl"));
  }
  return WaitSet(std::move(state));
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<void> WaitSet::check() const {
  if (!state_) return fail(ErrorCode::invalid_argument, "the wait set is empty: it was moved from");
  if (!state_->origin.is_this_process()) return fail(ErrorCode::wrong_process);
  return {};
}

Result<void> WaitSet::add(const Channel& channel, std::uint64_t key) {
  if (auto usable = check(); !usable) return usable;
  if (!channel.core_) return tl::unexpected(Channel::refusal());
  return state_->add_channel(
      {.key = key, .channel = channel.core_, .link = nullptr, .fd = channel.event_fd()});
}

Result<void> WaitSet::add(const Link& link, std::uint64_t key) {
  if (auto usable = check(); !usable) return usable;
  const auto core = link.root_ ? link.root_->current() : link.core_;
  if (!core) return tl::unexpected(Link::refusal());
  const int fd = core->event_fd();
  if (fd < 0) return tl::unexpected(Error::os(errno, "event_fd of a link"));
  return state_->add_channel(
      {.key = key, .channel = core->shared_channel(), .link = core, .fd = fd});
}

Result<void> WaitSet::add(const Session& session, std::uint64_t key) {
  return add(session.watch_fd(), key, EPOLLIN);
}

Result<void> WaitSet::add(int fd, std::uint64_t key, std::uint32_t events) {
  if (auto usable = check(); !usable) return usable;
  return state_->add({.key = key, .channel = nullptr, .link = nullptr, .fd = fd}, events);
}

bool WaitSet::remove(std::uint64_t key) noexcept {
  return check() && state_->remove(key);
}

std::size_t WaitSet::size() const noexcept {
  return state_ ? state_->members.size() : 0;
}

Result<std::span<const Ready>> WaitSet::wait(Deadline deadline, const std::stop_token& stop) {
  if (auto usable = check(); !usable) return tl::unexpected(std::move(usable.error()));
  return state_->wait({.deadline = deadline, .stop = &stop, .began = Deadline::Clock::now()});
}

Result<std::span<const Ready>> WaitSet::try_wait() {
  if (auto usable = check(); !usable) return tl::unexpected(std::move(usable.error()));
  if (state_->take_wake()) return std::span<const Ready>();
  if (!state_->look()) return fail(ErrorCode::would_block);
  return std::span<const Ready>(state_->ready);
}

void WaitSet::wake() noexcept {
  if (!state_) return;
  // Release, before the event: the thread that the event wakes sees it; partner: `take_wake`.
  state_->is_woken.store(true, std::memory_order_release);
  os::signal_event_fd(state_->own.get());
}

int WaitSet::fd() const noexcept {
  return state_ ? state_->poll.get() : -1;
}

Result<bool> WaitSet::arm_event() {
  if (auto usable = check(); !usable) return tl::unexpected(std::move(usable.error()));
  return state_->arm_event();
}

}  // namespace mews::inline MEWS_LAYOUT
