// SPDX-License-Identifier: MIT
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/options.hpp"
#include "mews/os/unique_fd.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Calls functions when descriptors become readable: from a thread of its own, or from the thread
/// that polls `fd()` and calls `dispatch`. It has no timers, so it sleeps as long as no descriptor
/// is ready.
///
/// No atomics: `entries_mutex_` guards `entries_` and `next_id_`. `running_` lets one handler run
/// at a time; a handler may call `dispatch`.
class Reactor {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Reactor>> make(Watcher kind);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  ~Reactor() { stop(); }

  /// Calls `handler` once, when `fd` has become readable. The handler may add and remove. `fd` must
  /// stay open until then, or until `remove`. Any thread.
  [[nodiscard]] Result<std::uint64_t> add(int fd, std::function<void()> handler);
  /// The same, but when the other end of the stream `fd` has been closed, readable or not.
  [[nodiscard]] Result<std::uint64_t> add_hang_up(int fd, std::function<void()> handler);
  void remove(std::uint64_t id) noexcept;
  /// After the handler of `id` was called: calls it once more when its descriptor becomes readable.
  void rearm(std::uint64_t id) noexcept;

  /// Runs the handlers that are due; does not wait for descriptors. Any thread; handlers run one at
  /// a time.
  void dispatch();
  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }
  [[nodiscard]] bool has_thread() const noexcept { return has_thread_; }
  /// For a reactor without a thread: blocks until a handler is due, `wake` was called or the
  /// deadline passes, then dispatches. One thread at a time. A handler that another thread
  /// dispatches meanwhile does not end the wait by itself: it calls `wake`.
  void wait(Deadline deadline);
  void wake() noexcept;
  /// Ends the thread; no handler runs after it has returned. Not from a handler.
  void stop();

 private:
  struct Entry {
    int fd;
    std::shared_ptr<std::function<void()>> handler;
  };
  Reactor(os::UniqueFd epoll, os::UniqueFd wake_event) noexcept
      : epoll_(std::move(epoll)), wake_event_(std::move(wake_event)) {}
  [[nodiscard]] Result<std::uint64_t> add_events(int fd, std::uint32_t events,
                                                 std::function<void()> handler);
  [[nodiscard]] Result<void> start();
  void run();
  bool dispatch_once(int timeout_ms);

  os::UniqueFd epoll_;
  os::UniqueFd wake_event_;  ///< for `stop` if there is a thread, otherwise for `wake`
  std::mutex entries_mutex_;
  std::map<std::uint64_t, Entry> entries_;
  std::uint64_t next_id_ = 1;     ///< 0 is the stop event
  std::recursive_mutex running_;  ///< held while handlers run
  std::thread thread_;
  bool has_thread_ = false;  ///< as made; threads may ask while `stop` ends the thread
};

}  // namespace mews::inline MEWS_LAYOUT::detail
