// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "mews/base/visible.hpp"
#include "mews/channel.hpp"
#include "mews/error.hpp"
#include "mews/options.hpp"
#include "mews/plugin.hpp"
#include "mews/stats.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

/// One process's membership in an arena: the host's, which made it, or a plugin's.
///
/// A host's call is `invalid_argument` in a plugin, and the other way round; nothing has happened
/// then.
///
/// Threads: any may call any function, but for `channel()`, whose result has rules of its own. No
/// thread may use a session while it is moved or destroyed.
///
/// Move-only: the result of `channel()`, plugins and loans stay valid. A moved-from session may
/// only be destroyed or assigned to. Destroy it after its channels and plugins. A loan or message
/// that outlives it stays valid: the mapping is then kept until the last of them is dropped.
///
/// A child forked without exec does not have the arena. There every call that returns a `Result` is
/// `wrong_process`, on plugins, channels and shared senders too; `shutdown`, `stats` and
/// `process_events` do nothing; destroying and moving is safe. The bytes of a loan or message above
/// 480 are not mapped: an access there is SIGSEGV. (This holds for `fork`: a child made by a bare
/// clone system call is not noticed.)
class Session {
 public:
  /// Makes an arena; this process is its host. `invalid_argument` names the option;
  /// `already_exists` (a living host has that name), `out_of_memory`, `os_error`.
  [[nodiscard]] static HandleResult<Session> create(CreateOptions options = {});

  /// Joins an arena as a plugin; needs no configuration. By default the arena of the host that
  /// spawned this process; by socket or by name as the options say. Blocks until the host has
  /// admitted it, at most `options.timeout`. Finding the arena: `invalid_argument` (the name),
  /// `no_such_arena` (also for a second session by the same invitation, and for a process that the
  /// host did not start itself; a failed try leaves the invitation for the next one), `host_died`
  /// (also for the arena of a dead host), `permission_denied` (another user's). Checking it:
  /// `not_an_arena`, `version_mismatch`, `bad_geometry`, `not_ready` (its creator has not finished
  /// it). The seat: `timed_out` (no `admit`), `too_many_peers`, `closed` (too late),
  /// `concurrent_use` (in use). The system: `out_of_memory`, `os_error`.
  [[nodiscard]] static HandleResult<Session> attach(const AttachOptions& options = {});

  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  /// Host: as `shutdown` with two seconds; then plugins that it did not start are told that the
  /// session is over, its threads end, and the kernel sends each process that is left behind its
  /// parent-death signal. Plugin: closes its channel, both ways. In a forked child, where the arena
  /// is not mapped: nothing, as with its plugins, loans and messages.
  ~Session();

  [[nodiscard]] bool is_host() const noexcept;

  /// Plugin only: returns its channel to the host. A host's channels belong to its plugins: this
  /// one is empty, each of its calls `invalid_argument`. It ends with the session, so the session
  /// needs a name: `Session::attach()->channel()` does not compile.
  [[nodiscard]] Channel& channel() & noexcept;
  Channel& channel() && = delete;

  /// Host only. Starts `command` ([0] is looked up in PATH unless it has a slash) as a plugin of
  /// that name. The channel can be used at once. Only the process that is started here can attach,
  /// as only its end is watched: a script or wrapper must `exec` the program, or the program joins
  /// by socket or name. Restarts get the environment as it is now; no other thread may change it
  /// during this call. The process's parent is a thread of the session, made by the first `spawn`.
  /// Blocks until the program is loaded (or cannot be), not until it attaches: at most for the
  /// session's default timeout, which here counts as two seconds at least and sixty at most. Then
  /// the start is stuck (a file system that does not answer, a debugger), its process is killed,
  /// and the error is `timed_out`. No other call waits meanwhile.
  /// `spawn_failed` with errno and the path or the step (see `ProcessOptions`), `too_many_peers`,
  /// `invalid_argument` (the name, the command, the environment, an option, or not the host),
  /// `closed` (the session is shutting down), `out_of_memory`, `os_error`.
  [[nodiscard]] HandleResult<Plugin> spawn(const std::string& name,
                                           const std::vector<std::string>& command,
                                           PluginOptions options = {});

  /// Host only. Lets programs of the same user join at a Unix socket: a path (mode 0600), or with
  /// '@' in front a name that needs no file. The path's file is removed with the session; a dead
  /// host's is replaced. A named arena listens by itself. Once per session.
  ///
  /// A path blocks for the lock of its folder, at most two seconds, and other calls of this session
  /// that start, admit or wait for plugins wait meanwhile; a name never blocks. `invalid_argument`
  /// (the address, listening already, or not the host), `closed` (the session is shutting down),
  /// `already_exists` (a living process listens there, or the path is no socket),
  /// `permission_denied`, `timed_out` (that lock), `os_error`.
  [[nodiscard]] Result<void> listen(const std::string& address);

  /// Host only. Returns the next program that asks to join. Blocks until then. All callers are
  /// greeted at once, during this call and later ones. A caller that hangs up, or is silent for a
  /// second, or is another user's or of another layout version, or sends garbage is told why, if it
  /// is still connected, and skipped. `timed_out` (says why the last one was skipped), `cancelled`
  /// (by `stop`), `closed` (the session is shutting down), `invalid_argument` (not listening),
  /// `too_many_peers`, `os_error`, `out_of_memory`; the caller is told the same, and a later call
  /// serves the next.
  [[nodiscard]] HandleResult<Plugin> admit(Deadline deadline, std::stop_token stop = {});

  /// Host only. A plugin within this process: its handle, and its session for another thread. Never
  /// blocks. That session has no watcher, as its host cannot die before it; destroy it before this
  /// one. `invalid_argument` (the name, or not the host), `closed` (the session is shutting down),
  /// `too_many_peers`, `out_of_memory`, `os_error`.
  [[nodiscard]] HandleResult<std::pair<Plugin, Session>> connect(const std::string& name);

  /// Host only. Closes every channel and waits for the spawned processes to exit; each that still
  /// runs at the deadline gets SIGTERM, and a second later SIGKILL. Starts that are under way are
  /// given up. From this call on nothing restarts any more, `renew` ends, and every call that would
  /// let a plugin in is `closed`. Returns when all have ended and have been reclaimed, at the
  /// latest six seconds after the deadline, and names the plugins that it had to kill and those
  /// left behind: a process that this one may not signal (it is not waited for past the deadline),
  /// or that the kernel cannot end in five seconds. A second call waits for none of these again.
  /// `invalid_argument` (not the host). With `Watcher::none` the waiting thread does the work of
  /// `process_events`.
  Result<ShutdownReport> shutdown(Deadline deadline);

  /// Returns present figures of the whole arena; costs a scan over the slabs ever used. Never
  /// blocks; throws `std::bad_alloc`.
  [[nodiscard]] Stats stats() const;

  /// For `Watcher::none`: readable when another process has died or something else needs attention
  /// (also once a second while an event loop of the host is armed, see `Channel::event_fd`); then
  /// call `process_events`. It belongs to the session and lives as long; do not read from it or
  /// close it. Any thread.
  [[nodiscard]] int watch_fd() const noexcept;
  /// Does the watcher thread's work: reclaims the memory of the dead, ends the calls that wait for
  /// them, restarts, calls `on_exit`. Any thread; several at once work one after the other. Waits
  /// for nothing but that. With a watcher thread: harmless.
  void process_events();

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
