// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "mews/base/visible.hpp"
#include "mews/channel.hpp"
#include "mews/ids.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

namespace detail {
class PluginCore;
struct PluginProcess;
}  // namespace detail

/// The host's handle on one plugin process.
///
/// Dropping it closes the channel; once nothing has the channel any more (moved out, or by a shared
/// sender), the process is told that nobody reads either. It is still watched, and reclaimed when
/// it ends, but not started again, as nobody could `renew`.
///
/// Threads: any may call `is_alive`, `exit`, `wait_exit`, `stop` and `kill`, and ask for name, peer
/// and pid. `renew`, like a move, makes the handle another process's: meanwhile no other thread may
/// use the handle, nor the result of `channel()`. The channel has rules of its own.
///
/// A handle may be moved: the result of `channel()` stays valid. A moved-from handle may only be
/// destroyed or assigned to. In a child forked off the process that made it, calls are
/// `wrong_process`, it is not alive, and has no exit. The channel may be moved out of it: then
/// dropping the handle does not close it, and `channel()` is empty until `renew`.
class Plugin {
 public:
  Plugin(Plugin&&) noexcept;
  Plugin& operator=(Plugin&&) noexcept;
  ~Plugin();

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] PeerId peer() const noexcept;
  /// Returns the process's id now; after a death the last one's.
  [[nodiscard]] pid_t pid() const noexcept;
  /// Returns the channel to the process that was running when this handle was made or last renewed.
  /// It ends with the handle, so the handle needs a name: `host.spawn(..)->channel()` does not
  /// compile.
  [[nodiscard]] Channel& channel() & noexcept;
  Channel& channel() && = delete;

  /// Returns whether the process that `channel()` leads to is running.
  [[nodiscard]] bool is_alive() const noexcept;
  /// Returns how that process ended; nothing while it runs.
  [[nodiscard]] std::optional<PluginExit> exit() const;
  /// Blocks until it has ended and all its memory has been reclaimed; a mutex. `timed_out`;
  /// `closed` when the session that made this handle is gone; `cancelled` by the stop token. With
  /// `Watcher::none` the waiting thread does the work of `process_events`.
  [[nodiscard]] Result<PluginExit> wait_exit(Deadline deadline, const std::stop_token& stop = {});

  /// Ends the plugin for good: it is not started again, its channel is closed, and when its process
  /// (the latest one, even if the handle has not been renewed) still runs at the deadline it gets
  /// SIGTERM, and a second later SIGKILL. Returns how it ended, once all its memory has been
  /// reclaimed; at once when it had ended before. Blocks at most six seconds past the deadline, a
  /// mutex. `timed_out` when the kernel has not ended it by then; `permission_denied` when this
  /// process may not signal it; `closed` when the session that made this handle is gone; `os_error`
  /// with EBADF for a plugin within this process, which no signal can end. With `Watcher::none` the
  /// waiting thread does the work of `process_events`.
  [[nodiscard]] Result<PluginExit> stop(Deadline deadline);

  /// After a death under `Restart::on_crash`: waits for the next process and turns `channel()` to
  /// it. Messages of the dead one that were not received are dropped. Blocks as `wait_exit` does.
  /// `timed_out`; `cancelled`; `closed` when the session that made this handle is gone or shutting
  /// down (also in the middle of the wait); `peer_died` when there will be no next process; when it
  /// could not be started, the reason: `spawn_failed` with path and errno, `timed_out` (the start
  /// was stuck), `too_many_peers`, `out_of_memory`, `os_error`. On every error the handle is
  /// unchanged.
  [[nodiscard]] Result<void> renew(Deadline deadline, const std::stop_token& stop = {});

  /// Sends a signal to exactly this process, never to one that got its number later; one system
  /// call. Under `Restart::on_crash` a plugin that dies of it is started again: `stop` ends it for
  /// good. `os_error` with errno: ESRCH when it is gone, EINVAL for an invalid signal number, EBADF
  /// for a plugin within this process (`Session::connect`). `permission_denied`.
  [[nodiscard]] Result<void> kill(int signal_number);

 private:
  friend class Link;
  friend class Session;
  Plugin(std::shared_ptr<detail::PluginCore> core, std::shared_ptr<detail::PluginProcess> process,
         std::shared_ptr<detail::ChannelCore> channel);
  std::shared_ptr<detail::PluginCore> core_;
  std::shared_ptr<detail::PluginProcess> process_;
  std::unique_ptr<Channel> channel_;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
