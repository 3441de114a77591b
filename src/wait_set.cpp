// SPDX-License-Identifier: MIT
#include "mews/wait_set.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/wake_on_stop.hpp"
#include "mews/base/leak.hpp"
#include "mews/detail/fork_stamp.hpp"
#include "mews/os/event_fd.hpp"
#include "mews/os/unique_fd.hpp"
#include "mews/sync/spin.hpp"

namespace mews::inline MEWS_LAYOUT {
namespace {

/// With so many members a look at all of them is cheap.
constexpr std::size_t kFewMembers = 32;
constexpr std::uint64_t kOwnEvent = ~std::uint64_t{0};

using Ready = WaitSet::Ready;

/// Exactly one of the three.
struct Member {
  std::uint64_t key;
  std::shared_ptr<detail::ChannelCore> channel;
  int fd = -1;               ///< in the epoll, but for a channel that has ended
  std::uint32_t events = 0;  ///< of a descriptor: reported by the present wait
};

}  // namespace

struct WaitSet::State {
  os::UniqueFd poll;
  os::UniqueFd own;  ///< readable after `wake`
  std::atomic<bool> is_woken{false};
  std::vector<Member> members;
  std::unordered_map<std::uint64_t, std::size_t> places;  ///< of the members, by key
  std::vector<std::size_t> hot;                           ///< places: ready at the last look
  std::vector<Ready> ready;
  std::size_t descriptors = 0;
  std::size_t next_looked = 0;  ///< by a spin
  bool is_hot_turn = false;
  std::optional<sync::SpinBudget> spin;
  std::shared_ptr<const mem::Arena> turns_owner;  ///< of the budget's
  detail::ForkStamp origin;
  base::LeakedNode leaked;

  Result<void> add(Member member, std::uint32_t events) try {
    if (!origin.is_this_process()) return fail(ErrorCode::wrong_process);
    if (member.key == kOwnEvent) return fail(ErrorCode::invalid_argument, "the key 2^64 - 1");
    if (places.contains(member.key)) return fail(ErrorCode::already_exists, "a member of that key");
    members.reserve(members.size() + 1);
    hot.reserve(members.size() + 1);
    ready.reserve(members.size() + 1);
    const auto [place, is_new] = places.emplace(member.key, members.size());
    epoll_event event{.events = events, .data = {.u64 = member.key}};
    if (::epoll_ctl(poll.get(), EPOLL_CTL_ADD, member.fd, &event) != 0) {
      const int error = errno;
      places.erase(place);
      if (error == EBADF || error == EPERM || error == EINVAL || error == ELOOP) {
        return tl::unexpected(
            Error(ErrorCode::invalid_argument, error, "this descriptor cannot be polled"));
      }
      return tl::unexpected(Error::os(error, "epoll_ctl"));
    }
    if (!member.channel) ++descriptors;
    members.push_back(std::move(member));
    return {};
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory);
  }

  bool remove(std::uint64_t key) noexcept {
    const auto found = places.find(key);
    if (found == places.end()) return false;
    const auto place = found->second;
    drop_fd(members[place]);
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

  void drop_fd(Member& member) const noexcept {
    if (member.fd >= 0) (void)::epoll_ctl(poll.get(), EPOLL_CTL_DEL, member.fd, nullptr);
    member.fd = -1;
  }

  // An ended channel's descriptor stays readable for ever, and says nothing more than a look does.
  [[nodiscard]] bool has_news(Member& member) noexcept {
    if (!member.channel) return false;
    if (!member.channel->has_news()) return false;
    if (member.fd >= 0 && member.channel->ended()) drop_fd(member);
    return true;
  }

  /// Reports what is ready; makes no system call unless there are descriptors.
  [[nodiscard]] bool look() {
    ready.clear();
    const bool is_hot = is_hot_turn && members.size() > kFewMembers;
    is_hot_turn = !is_hot_turn;
    if (is_hot) {
      for (const auto place : hot)
        if (has_news(members[place])) report(members[place], EPOLLIN);
      if (!ready.empty()) return true;
    }
    hot.clear();
    for (std::size_t place = 0; place < members.size(); ++place) {
      if (!has_news(members[place])) continue;
      hot.push_back(place);
      report(members[place], EPOLLIN);
    }
    if (descriptors > 0) poll_descriptors(0);
    return !ready.empty();
  }

  void report(const Member& member, std::uint32_t events) { ready.push_back({member.key, events}); }

  /// For a spin: a few channels at each call.
  [[nodiscard]] bool has_any_news() {
    // Relaxed: the event of `wake` is seen before a sleep.
    if (is_woken.load(std::memory_order_relaxed)) return true;
    const auto count = std::min(members.size(), kFewMembers);
    for (std::size_t i = 0; i < count; ++i) {
      next_looked = next_looked + 1 < members.size() ? next_looked + 1 : 0;
      if (has_news(members[next_looked])) return true;
    }
    return false;
  }

  /// Waits for events until `timeout_ms` have passed, -1: for ever. Reports descriptors.
  void poll_descriptors(int timeout_ms) {
    std::array<epoll_event, 64> events;
    const int count =
        ::epoll_wait(poll.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == kOwnEvent) {
        if (timeout_ms != 0) os::drain_event_fd(own.get());
        continue;
      }
      const auto found = places.find(event.data.u64);
      if (found == places.end()) continue;
      auto& member = members[found->second];
      // A channel's is looked at.
      if (!member.channel) report(member, event.events);
      // Over, and it has told so.
      if (member.channel && member.channel->ended()) drop_fd(member);
    }
  }

  /// Arms all channels. Returns false when one is ready already.
  Result<bool> arm() {
    auto due = sync::ArmFence::full;
    for (auto& member : members) {
      if (!member.channel || member.fd < 0) continue;
      auto owed = member.channel->arm_one_of_many();
      if (!owed) {
        // Another thread receives from it.
        if (owed.error().code() == ErrorCode::concurrent_use) continue;
        return tl::unexpected(std::move(owed.error()));
      }
      if (*owed == sync::ArmFence::heavy) due = sync::ArmFence::heavy;
    }
    sync::Doorbell::fence_armed(due);
    is_hot_turn = false;
    return !look();
  }

  [[nodiscard]] bool take_wake() noexcept {
    // Acquire: what the waker did before is seen by the thread that it woke; partner: `wake`.
    return is_woken.load(std::memory_order_relaxed) &&
           is_woken.exchange(false, std::memory_order_acquire);
  }

  Result<std::span<const Ready>> wait(const detail::Until& until);
};

namespace {

int milliseconds_until(Deadline deadline) noexcept {
  if (deadline.is_forever()) return -1;
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24);
  // Rounded up, or the last part of a millisecond would be spent in a loop.
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.left());
  return static_cast<int>(std::min(left, kLongest).count());
}

}  // namespace

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
    if (!*armed) return std::span<const Ready>(ready);
    ready.clear();
    poll_descriptors(milliseconds_until(until.deadline));
    if (spin) spin->learn(until.began);
    if (!ready.empty()) {
      // Descriptors alone: the channels are looked at by the next wait.
      is_hot_turn = false;
      return std::span<const Ready>(ready);
    }
  }
}

WaitSet::WaitSet(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
WaitSet::WaitSet(WaitSet&&) noexcept = default;
WaitSet& WaitSet::operator=(WaitSet&&) noexcept = default;
WaitSet::~WaitSet() {
  if (state_ && !state_->origin.is_this_process()) {
    base::leak_on_purpose(state_.release()->leaked);
  }
}

Result<WaitSet> WaitSet::create() try {
  auto state = std::make_unique<State>();
  state->poll = os::own_fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!state->poll) return tl::unexpected(Error::os(errno, "epoll_create1"));
  auto event = os::make_event_fd();
  if (!event) return tl::unexpected(std::move(event.error()));
  state->own = std::move(*event);
  epoll_event wanted{.events = EPOLLIN, .data = {.u64 = kOwnEvent}};
  if (::epoll_ctl(state->poll.get(), EPOLL_CTL_ADD, state->own.get(), &wanted) != 0) {
    return tl::unexpected(Error::os(errno, "epoll_ctl"));
  }
  return WaitSet(std::move(state));
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<void> WaitSet::add(const Channel& channel, std::uint64_t key) {
  if (!channel.core_) return fail(ErrorCode::invalid_argument, "the channel is empty");
  auto added =
      state_->add({.key = key, .channel = channel.core_, .fd = channel.event_fd()}, EPOLLIN);
  if (added && !state_->spin) {
    auto& context = channel.core_->session();
    state_->turns_owner = context.shared_arena();
    state_->spin.emplace(context.spin_limit(), context.turns());
  }
  return added;
}

Result<void> WaitSet::add(const Session& session, std::uint64_t key) {
  return add(session.watch_fd(), key, EPOLLIN);
}

Result<void> WaitSet::add(int fd, std::uint64_t key, std::uint32_t events) {
  return state_->add({.key = key, .channel = nullptr, .fd = fd}, events);
}

bool WaitSet::remove(std::uint64_t key) noexcept {
  return state_->origin.is_this_process() && state_->remove(key);
}

std::size_t WaitSet::size() const noexcept {
  return state_->members.size();
}

Result<std::span<const Ready>> WaitSet::wait(Deadline deadline, const std::stop_token& stop) {
  if (!state_->origin.is_this_process()) return fail(ErrorCode::wrong_process);
  return state_->wait({.deadline = deadline, .stop = &stop, .began = Deadline::Clock::now()});
}

Result<std::span<const Ready>> WaitSet::try_wait() {
  if (!state_->origin.is_this_process()) return fail(ErrorCode::wrong_process);
  if (state_->take_wake()) return std::span<const Ready>();
  if (!state_->look()) return fail(ErrorCode::would_block);
  return std::span<const Ready>(state_->ready);
}

void WaitSet::wake() noexcept {
  // Release, before the event: the thread that the event wakes sees it; partner: `take_wake`.
  state_->is_woken.store(true, std::memory_order_release);
  os::signal_event_fd(state_->own.get());
}

int WaitSet::fd() const noexcept {
  return state_->poll.get();
}

Result<bool> WaitSet::arm_event() {
  if (!state_->origin.is_this_process()) return fail(ErrorCode::wrong_process);
  return state_->arm();
}

}  // namespace mews::inline MEWS_LAYOUT
