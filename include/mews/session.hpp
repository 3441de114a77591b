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
/// What is for the host only is `invalid_argument` in a plugin, and the other way round; nothing
/// has happened then.
///
/// Threads: any may call any function, but for `channel()`, whose result has rules of its own. No
/// thread may use a session while it is moved or destroyed.
///
/// Move-only: what `channel()` gave, plugins and loans stay valid. A moved-from session may only be
/// destroyed or assigned to. Destroy it after its channels and plugins. A loan or message that
/// outlives it stays valid: the mapping is then kept until the last of them is dropped.
///
/// A child forked without exec does not have the arena. There every call that returns a `Result` is
/// `wrong_process`, on plugins, channels and shared senders too; `shutdown`, `stats` and
/// `process_events` do nothing; destroying and moving is safe. The bytes of a loan or message above
/// 480 are not mapped: to touch them there is SIGSEGV. (Made by `fork`: a child made by a bare
/// clone system call is not noticed.)
class Session {
 public:
  /// Makes an arena; this process is its host. `invalid_argument` names the option;
  /// `already_exists` (a living host has that name), `out_of_memory`, `os_error`.
  [[nodiscard]] static HandleResult<Session> create(CreateOptions options = {});

  /// Joins an arena as a plugin; needs no configuration. By default the one whose host spawned
  /// this process; by socket or by name as the options say. Blocks until the host has admitted
  /// it, at most `options.timeout`. Which arena: `invalid_argument` (the name), `no_such_arena`
  /// (also for a second session by what this process was spawned with, and for a process that the
  /// host did not start itself; one that fails leaves it for the next try), `host_died` (also what
  /// a dead host left), `permission_denied` (another user's). What it is: `not_an_arena`,
  /// `version_mismatch`, `bad_geometry`, `not_ready` (its creator has not finished it). The seat:
  /// `timed_out` (no `admit`), `too_many_peers`, `closed` (too late), `concurrent_use` (taken). The
  /// system: `out_of_memory`, `os_error`.
  [[nodiscard]] static HandleResult<Session> attach(const AttachOptions& options = {});

  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  /// Host: as `shutdown` with two seconds; then plugins that it did not start are told that the
  /// session is over, its threads end, and the kernel sends whoever is left behind its parent-death
  /// signal. Plugin: closes its channel, both ways. In a forked child, where the arena is not
  /// mapped: nothing, as with its plugins, loans and messages.
  ~Session();

  [[nodiscard]] bool is_host() const noexcept;

  /// Plugin only: its channel to the host. A host's channels are its plugins': this one is empty,
  /// each of its calls `invalid_argument`. It ends with the session, so the session needs a name:
  /// `Session::attach()->channel()` does not compile.
  [[nodiscard]] Channel& channel() & noexcept;
  Channel& channel() && = delete;

  /// Host only. Starts `command` ([0] is looked up in PATH unless it has a slash) as a plugin of
  /// that name. The channel can be used at once. Only the process that is started here can take the
  /// seat, as its end alone is watched: a script or wrapper must `exec` the program, or the program
  /// joins by socket or name. Restarts get the environment as it is now; no other thread may change
  /// it during this call. The process's parent is a thread of the session's, made by the first
  /// `spawn`. Blocks until the program is loaded (or cannot be), not until it attaches: at most for
  /// the session's default timeout, which here counts as two seconds at least and sixty at most.
  /// Then the start is stuck (a file system that does not answer, a debugger), its process is
  /// killed, and the error is `timed_out`. Nobody else waits meanwhile.
  /// `spawn_failed` with errno and the path or the step (see `ProcessOptions`), `too_many_peers`,
  /// `invalid_argument` (the name, the command, the environment, an option, or not the host),
  /// `closed` (the session is shutting down), `out_of_memory`, `os_error`.
  [[nodiscard]] HandleResult<Plugin> spawn(const std::string& name,
                                           const std::vector<std::string>& command,
                                           PluginOptions options = {});

  /// Host only. Lets programs of the same user join at a Unix socket: a path (mode 0600), or with
  /// '@' in front a name that needs no file. The path's file is removed with the session; one that
  /// a dead host left is replaced. A named arena listens by itself. Once per session.
  ///
  /// A path blocks for the lock of its folder, at most two seconds, and other calls of this
  /// session's that start, admit or wait for plugins wait meanwhile; a name never blocks.
  /// `invalid_argument` (the address, listening already, or not the host), `closed` (the session is
  /// shutting down), `already_exists` (a
  /// living process listens there, or the path is no socket), `permission_denied`, `timed_out`
  /// (that lock), `os_error`.
  [[nodiscard]] Result<void> listen(const std::string& address);

  /// Host only. The next program that wants to join. Blocks until then. All that have asked are
  /// greeted at once, during this call and later ones. One that asks and hangs up, or is silent for
  /// a second, or is another user's or of another layout version, or sends what is no greeting is
  /// told why, as far as it listens, and passed over. `timed_out` (names why the last one was
  /// passed over), `cancelled` (by `stop`), `closed` (the session is shutting down),
  /// `invalid_argument` (not listening), `too_many_peers`, `os_error`, `out_of_memory`; whoever
  /// asked is told the same, and a later call serves the next.
  [[nodiscard]] HandleResult<Plugin> admit(Deadline deadline, std::stop_token stop = {});

  /// Host only. A plugin within this process: its handle, and its session for another thread. Never
  /// blocks. That session has no watcher, as its host cannot die before it; destroy it before this
  /// one. `invalid_argument` (the name, or not the host), `closed` (the session is shutting down),
  /// `too_many_peers`, `out_of_memory`, `os_error`.
  [[nodiscard]] HandleResult<std::pair<Plugin, Session>> connect(const std::string& name);

  /// Host only. Closes every channel and waits for the spawned processes to exit; whichever is
  /// still there at the deadline gets SIGTERM, and a second later SIGKILL. Starts that are under
  /// way are given up. From the moment that it is called nothing restarts any more, `renew` ends,
  /// and whatever would let a plugin in is `closed`. Returns when all have ended and have been
  /// taken back, at the latest six seconds after the deadline, and says who had to be killed and
  /// who is left behind: a process that this one may not signal (it is not waited for past the
  /// deadline), or that the kernel cannot end in five seconds. A second call waits for none of
  /// these again. `invalid_argument` (not the host). With `Watcher::none` the waiting thread does
  /// what `process_events` does.
  Result<ShutdownReport> shutdown(Deadline deadline);

  /// Figures of the whole arena as they are now; costs a scan over the slabs ever used. Never
  /// blocks; throws `std::bad_alloc`.
  [[nodiscard]] Stats stats() const;

  /// For `Watcher::none`: readable when another process has died or something else wants attention
  /// (also once a second while an event loop of the host's is armed, see `Channel::event_fd`), then
  /// call `process_events`. It belongs to the session and lives as long; do not read from it or
  /// close it. Any thread.
  [[nodiscard]] int watch_fd() const noexcept;
  /// Does what the watcher thread would do: takes back what the dead had, ends the calls that wait
  /// for them, restarts, calls `on_exit`. Any thread; what several do at once is done one after the
  /// other. Waits for nothing but that. With a watcher thread: harmless.
  void process_events();

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
