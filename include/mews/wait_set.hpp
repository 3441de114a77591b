// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>

#include "mews/base/visible.hpp"
#include "mews/channel.hpp"
#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/link.hpp"
#include "mews/session.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

/// One thread waits for many: channels, sessions and descriptors of the program's own.
///
/// ```
/// auto set = mews::WaitSet::create().value();
/// for (std::size_t i = 0; i < plugins.size(); ++i)
///   set.add(plugins[i].channel(), i).value();
/// while (auto ready = set.wait(mews::forever)) {
///   for (const auto& member : *ready)
///     serve(plugins[member.key]);   // receives, with try_receive or receive
/// }
/// ```
///
/// A member is reported as long as it has something: one that was not drained is reported again,
/// and nothing that came before `add` is lost. A channel also has its end to tell; once `receive`
/// has returned that, the channel is not reported any more. `remove` it then.
///
/// While traffic flows a wait makes no system call: it looks at the channels' next records, some
/// nanoseconds each. It spins as a blocking call does (`LocalOptions::spin_limit` of the first
/// channel's session), then arms all channels that are not armed still, pays one fence for all,
/// looks once more, and sleeps in epoll. So a sleep costs by what was ready, not by what is
/// watched.
///
/// Fair: each wait reports all members that are ready, or, with more than 32 members, every second
/// wait does, and the one between reports those among the last ready ones that are ready again.
///
/// One thread at a time; `wake` and `fd` any thread. Only that thread should receive from the
/// members: a channel from which another one receives meanwhile counts as not ready, and what that
/// one leaves may not end the wait. The set keeps a channel's inside alive, as a `SharedSender`
/// does: dropping the channel closes it only once it is removed. A session and a descriptor must
/// outlive their membership.
///
/// In a child forked off the process that made it: `wrong_process`. Moved from: `invalid_argument`.
class WaitSet {
 public:
  /// `os_error` (EMFILE), `out_of_memory`.
  [[nodiscard]] static Result<WaitSet> create();
  WaitSet(WaitSet&&) noexcept;
  WaitSet& operator=(WaitSet&&) noexcept;
  ~WaitSet();

  /// Adds a member. `key` is the caller's own, and comes back with each report; no two members have
  /// the same, and none is added twice (`already_exists`). `invalid_argument` (an empty channel, a
  /// bad descriptor), `os_error`, `out_of_memory`: then nothing was added.
  [[nodiscard]] Result<void> add(const Channel& channel, std::uint64_t key);
  /// Reports a link when `Link::dispatch` or `Link::try_accept` has something to do.
  [[nodiscard]] Result<void> add(const Link& link, std::uint64_t key);
  /// Reports a session with `Watcher::none` when it is time for `Session::process_events`.
  [[nodiscard]] Result<void> add(const Session& session, std::uint64_t key);
  /// `events` as for epoll(7): EPOLLIN, EPOLLOUT, ...; level-triggered. Remove it before it is
  /// closed.
  [[nodiscard]] Result<void> add(int fd, std::uint64_t key, std::uint32_t events);
  /// Returns false when there is no such member.
  bool remove(std::uint64_t key) noexcept;
  [[nodiscard]] std::size_t size() const noexcept;

  struct Ready {
    std::uint64_t key;
    std::uint32_t events;  ///< of a descriptor, as epoll(7) has them; otherwise EPOLLIN
  };
  /// Blocks until a member is ready; returns all that are, or none after `wake`. Valid until the
  /// next call. `timed_out`, `cancelled` (by `stop`), `os_error` (membarrier has been forbidden to
  /// this process since it joined, so an event could be missed).
  [[nodiscard]] Result<std::span<const Ready>> wait(Deadline deadline,
                                                    const std::stop_token& stop = {});
  /// `would_block` when no member is ready. Never blocks.
  [[nodiscard]] Result<std::span<const Ready>> try_wait();

  /// Ends the present wait, or the next one, with an empty report. Any thread; also in a signal
  /// handler.
  void wake() noexcept;

  /// For an event loop in which this set is one of many: becomes readable when a member is ready or
  /// after `wake`, provided `arm_event` has returned true since the last `wait` or `try_wait`. Then
  /// call `try_wait`. It belongs to the set.
  [[nodiscard]] int fd() const noexcept;
  /// Returns false when `try_wait` has something to return already. `os_error` as `wait`;
  /// `concurrent_use`: another thread receives from a member.
  [[nodiscard]] Result<bool> arm_event();

 private:
  [[nodiscard]] Result<void> check() const;
  struct State;
  explicit WaitSet(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
