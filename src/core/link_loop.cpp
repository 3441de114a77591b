// SPDX-License-Identifier: MIT
#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "link_core.hpp"
#include "mews/os/event_fd.hpp"

// A link in an event loop: what wakes the loop, and what it does then.
namespace mews::inline MEWS_LAYOUT::detail {

void LinkCore::signal_waiting_loop() noexcept {
  // [K9] seq_cst: after what the loop is to find, or after the lead was left; partner:
  // `announce_loop`.
  if (is_loop_waiting_.load(std::memory_order_seq_cst) &&
      is_loop_waiting_.exchange(false, std::memory_order_seq_cst)) {
    signal_loop();
  }
}

Result<bool> LinkCore::dispatch() {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  auto looked = look();
  // seq_cst: before the functions that are due, which then are all there are; partner: `end`.
  const bool is_over = is_end_whole_.load(std::memory_order_seq_cst);
  run_ready();
  if (is_over) {
    tell_end();
    return tl::unexpected(end_error());
  }
  if (!looked) return tl::unexpected(std::move(looked.error()));
  // Relaxed: a hint; another thread may accept it first.
  return queued_.load(std::memory_order_relaxed) > 0;
}

// One by one: a function may dispatch, too, or drop the next one's call.
void LinkCore::run_ready() {
  // Relaxed: who sets it signals the loop afterwards.
  while (has_ready_.load(std::memory_order_relaxed)) {
    std::function<void()> done;
    {
      const std::lock_guard lock(mutex_);
      if (!ready_.empty()) {
        done = std::move(ready_.front().done);
        ready_.erase(ready_.begin());
      }
      has_ready_.store(!ready_.empty(), std::memory_order_relaxed);
    }
    if (done) done();
  }
}

bool LinkCore::has_work() noexcept {
  return queued_.load(std::memory_order_seq_cst) > 0 ||
         has_ready_.load(std::memory_order_seq_cst) ||
         (is_end_whole_.load(std::memory_order_seq_cst) &&
          !is_end_told_.load(std::memory_order_relaxed));
}

int LinkCore::event_fd() noexcept {
  // In a forked child the mutex may never be free.
  if (!is_own()) return -1;
  const std::lock_guard lock(mutex_);
  if (loop_) return loop_->poll.get();
  auto event = os::make_event_fd();
  if (!event) return -1;
  Loop loop{.poll = os::own_fd(::epoll_create1(EPOLL_CLOEXEC)), .own = std::move(*event)};
  if (!loop.poll) return -1;
  for (const int fd : {loop.own.get(), channel_->event_fd()}) {
    epoll_event wanted{.events = EPOLLIN, .data = {.fd = fd}};
    if (::epoll_ctl(loop.poll.get(), EPOLL_CTL_ADD, fd, &wanted) != 0) return -1;
  }
  loop_ = std::move(loop);
  // Release: the descriptor, made before; partner: `signal_loop`.
  loop_event_.store(loop_->own.get(), std::memory_order_release);
  return loop_->poll.get();
}

void LinkCore::signal_loop() noexcept {
  // Acquire: see `event_fd`. A loop that comes later looks before its first sleep.
  const int own = loop_event_.load(std::memory_order_acquire);
  if (own >= 0) os::signal_event_fd(own);
}

// What this takes back is found by the look that follows.
Result<void> LinkCore::announce_loop() noexcept {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  if (event_fd() < 0) return fail(ErrorCode::os_error, errno, "a descriptor for an event loop");
  os::drain_event_fd(loop_event_.load(std::memory_order_relaxed));
  is_loop_waiting_.store(true, std::memory_order_seq_cst);
  return {};
}

// The loop is woken by its bell, which `ChannelCore` arms; but a thread that leads after that
// disarms it. So it signals the loop when it leaves, and then the loop arms anew.
Result<bool> LinkCore::arm_event() {
  if (auto announced = announce_loop(); !announced) {
    return tl::unexpected(std::move(announced.error()));
  }
  // Relaxed: a note of the loop's own.
  if (is_end_told_.load(std::memory_order_relaxed)) return tl::unexpected(end_error());
  Result<bool> armed = true;
  if (lead_.try_take()) {
    armed = channel_->arm_event();
    lead_.leave();
    if (!armed) return armed;
  } else {
    // The thread that leads takes in what this told, and signals when it leaves.
    channel_->drain_event();
  }
  if (*armed && !has_work()) return true;
  is_loop_waiting_.store(false, std::memory_order_relaxed);
  return false;
}

Result<sync::ArmFence> LinkCore::arm_one_of_many() {
  if (auto announced = announce_loop(); !announced) {
    return tl::unexpected(std::move(announced.error()));
  }
  if (!lead_.try_take()) return sync::ArmFence::full;
  auto owed = channel_->arm_one_of_many();
  lead_.leave();
  return owed;
}

bool LinkCore::has_news() noexcept {
  if (has_work()) return true;
  return !ended() && channel_->may_have_record();
}

}  // namespace mews::inline MEWS_LAYOUT::detail
