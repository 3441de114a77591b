// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "invitation.hpp"
#include "mews/detail/channel_core.hpp"
#include "mews/detail/fork_stamp.hpp"
#include "mews/detail/peer_context.hpp"
#include "mews/options.hpp"
#include "mews/os/named_memory.hpp"
#include "mews/os/spawner.hpp"
#include "process_plan.hpp"
#include "reactor.hpp"
#include "reactor_timer.hpp"
#include "scope_exit.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// One process in a plugin's seat, from invitation to recovery. Fields after `channel` are guarded
/// by the host's mutex.
struct PluginProcess : std::enable_shared_from_this<PluginProcess> {
  PeerId peer{};
  std::uint32_t epoch = 0;
  pid_t pid = -1;
  os::UniqueFd watched;    ///< a pidfd, readable once it is gone; none within this process
  os::PluginWakeFds wake;  ///< until they have been passed to it: its end alone is to be open
  std::shared_ptr<ChannelCore> channel;
  std::uint64_t watch_id = 0;
  std::uint64_t hang_up_id = 0;
  bool is_taken_back = false;  ///< all that it had; the process may go on without it
  Deadline::Clock::time_point began{};
  bool is_dead = false;         ///< and all that it had has been taken back
  bool is_left_behind = false;  ///< nobody waits for its end any longer
  bool has_attached = false;    ///< known once it is dead
  Deadline::Clock::time_point died{};
  std::string how;                 ///< how it ended, as far as it is known: for errors
  std::optional<PluginExit> exit;  ///< set once it is dead, and it is known how, or never will be
  ReactorTimer status_timer;       ///< while its status is still to be had
  std::chrono::milliseconds status_delay{1};
  ForkStamp owner;
};

/// Before the second restart, and the wait that is doubled.
inline constexpr std::chrono::milliseconds kFirstRestartDelay{10};

class HostCore;

/// A plugin by name, through the processes that play it. Guarded by the host's mutex.
class PluginCore {
 public:
  std::string name;
  bool is_spawned = false;  ///< a child of ours: its status is ours to take, and its end to see to
  ProcessPlan plan;
  PluginOptions options;
  std::weak_ptr<HostCore> host;
  std::shared_ptr<PluginProcess> current;
  bool is_restarting = false;        ///< planned, or under way
  bool is_retired = false;           ///< nobody can use a next process: there will be none
  std::optional<Error> not_started;  ///< why there is no next process where one was planned
  std::chrono::milliseconds delay{0};
  ReactorTimer restart_timer;
  std::shared_ptr<os::Spawner::Job> job;             ///< the restart that is under way
  std::deque<Deadline::Clock::time_point> restarts;  ///< within the window
};

/// The host's side: seats, processes, deaths, restarts. Any thread.
class HostCore : public std::enable_shared_from_this<HostCore> {
 public:
  [[nodiscard]] static Result<std::shared_ptr<HostCore>> create(const CreateOptions& options);
  ~HostCore();

  /// A plugin with the process that plays it now. The channel is here by itself, because a process
  /// that dies at once lets go of its own.
  struct PluginParts {
    std::shared_ptr<PluginCore> plugin;
    std::shared_ptr<PluginProcess> process;
    std::shared_ptr<ChannelCore> channel;
  };
  [[nodiscard]] Result<PluginParts> spawn(const std::string& name,
                                          const std::vector<std::string>& command,
                                          PluginOptions options);
  [[nodiscard]] Result<void> listen(const std::string& address);
  [[nodiscard]] Result<PluginParts> admit(Deadline deadline, const std::stop_token& stop);
  struct Local {
    PluginParts cast;
    Invitation invitation;
  };
  [[nodiscard]] Result<Local> connect(const std::string& name);

  [[nodiscard]] Result<ShutdownReport> shutdown(Deadline deadline);
  [[nodiscard]] Reactor& reactor() noexcept { return *reactor_; }
  [[nodiscard]] const std::shared_ptr<PeerContext>& session() const noexcept { return session_; }
  [[nodiscard]] const LocalOptions& local() const noexcept { return local_; }

  // For Plugin.
  [[nodiscard]] bool is_gone(const PluginProcess& process);
  [[nodiscard]] std::optional<PluginExit> exit_of(const PluginProcess& process);
  [[nodiscard]] Result<PluginExit> wait_exit(const PluginProcess& process, const Until& until);
  [[nodiscard]] Result<PluginParts> wait_next(const std::shared_ptr<PluginCore>& plugin,
                                              const std::shared_ptr<PluginProcess>& last,
                                              const Until& until);
  [[nodiscard]] Result<PluginExit> stop(const std::shared_ptr<PluginCore>& plugin,
                                        Deadline deadline);
  /// There will be no next process.
  void retire(const std::shared_ptr<PluginCore>& plugin);

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct ChannelLease;
  class SeatGuard;
  class Admission;

  HostCore(std::shared_ptr<PeerContext> session, std::unique_ptr<Reactor> reactor,
           os::UniqueFd own_pidfd, const CreateOptions& options);

  // Seats (host_seats.cpp); mutex held.
  [[nodiscard]] Result<void> check_room();
  [[nodiscard]] Result<std::shared_ptr<PluginProcess>> invite(const std::string& name);
  [[nodiscard]] SeatOffer seat_of(const PluginProcess& process) const noexcept;
  void reset_seat(PeerId peer) noexcept;
  /// Takes back what dead processes had sent and nobody can receive any more.
  void collect_seats();
  void vacate(const PluginProcess& process) noexcept;
  /// The offer of a seat does not hold any longer. False when it has been taken up.
  [[nodiscard]] bool withdraw(const std::shared_ptr<PluginCore>& plugin) noexcept;
  /// `holding` is a new one: what can fail for want of memory comes before the plugin does.
  [[nodiscard]] PluginParts parts_of(const std::shared_ptr<PluginCore>& plugin,
                                     const std::shared_ptr<PluginProcess>& process,
                                     std::shared_ptr<ChannelLease> holding);

  // Processes that the host did not start (host_join.cpp).
  [[nodiscard]] Result<void> open_door(const std::string& address);
  [[nodiscard]] Result<void> open_named_door(const std::string& name);
  [[nodiscard]] Result<PluginParts> admit_process(const std::shared_ptr<PluginCore>& plugin,
                                                  pid_t pid, os::UniqueFd watched);

  // Starts (host_start.cpp): prepared and kept with the mutex held, made without it.
  struct PreparedStart {
    std::shared_ptr<PluginProcess> process;
    os::SpawnOptions options;
  };
  [[nodiscard]] Result<PreparedStart> prepare_start(PluginCore& plugin);
  [[nodiscard]] Deadline start_deadline() const;
  /// The end of a start. On an error there is no process, and the seat is free.
  [[nodiscard]] Result<void> settle_start(const std::shared_ptr<PluginCore>& plugin,
                                          const std::shared_ptr<PluginProcess>& process,
                                          Result<os::Child> child);
  [[nodiscard]] Result<void> keep_child(const std::shared_ptr<PluginCore>& plugin,
                                        const std::shared_ptr<PluginProcess>& process,
                                        os::Child& child);
  void restart(const std::shared_ptr<PluginCore>& plugin);
  [[nodiscard]] Result<void> begin_restart(const std::shared_ptr<PluginCore>& plugin);
  /// On an error nothing is under way, and the seat is free.
  [[nodiscard]] Result<std::shared_ptr<os::Spawner::Job>> submit(
      const std::shared_ptr<PluginCore>& plugin, PreparedStart start);
  void give_up_restarting(const std::shared_ptr<PluginCore>& plugin, const Error& why);
  void tell_no_restart(const std::shared_ptr<PluginCore>& plugin, const Error& why);
  void mind_starts();

  // Life and death (host_life.cpp).
  [[nodiscard]] Result<void> watch_process(const std::shared_ptr<PluginCore>& plugin,
                                           const std::shared_ptr<PluginProcess>& process);
  // Processes that go on without the plugin (host_leave.cpp).
  [[nodiscard]] Result<void> watch_hang_up(const std::shared_ptr<PluginCore>& plugin,
                                           const std::shared_ptr<PluginProcess>& process);
  void on_hung_up(const std::shared_ptr<PluginCore>& plugin,
                  const std::shared_ptr<PluginProcess>& process);
  void part(const std::shared_ptr<PluginCore>& plugin,
            const std::shared_ptr<PluginProcess>& process, std::string how);
  void look_for_parted();
  void recover(PluginProcess& process, const std::string& how);
  void on_gone(const std::shared_ptr<PluginCore>& plugin,
               const std::shared_ptr<PluginProcess>& process);
  [[nodiscard]] bool ask_later(const std::shared_ptr<PluginCore>& plugin,
                               const std::shared_ptr<PluginProcess>& process);
  void ask_status(const std::shared_ptr<PluginCore>& plugin,
                  const std::shared_ptr<PluginProcess>& process);
  /// It is known how it ended, or never will be. Unlocks.
  void conclude(Lock lock, const std::shared_ptr<PluginCore>& plugin,
                const std::shared_ptr<PluginProcess>& process,
                const std::optional<os::ExitStatus>& status);
  void plan_restart(const std::shared_ptr<PluginCore>& plugin, PluginExit& exit,
                    Deadline::Clock::duration lived);
  /// The look timer has fired: event loops are told what their bells may not have told them.
  [[nodiscard]] Result<void> watch_loops();
  void look_for_loops();
  /// Waits with `lock` held in between; true when `is_done` came true before the end of `until`. A
  /// stop is seen when `interrupt` follows it.
  bool wait(Lock& lock, const Until& until, const std::function<bool()>& is_done);
  void interrupt() noexcept;
  /// Tells all plugins that the session is over.
  void leave() noexcept;
  /// Whoever waits looks again.
  void announce() noexcept;

  // The host ends plugins (host_end.cpp).
  [[nodiscard]] Result<void> check_open() const;
  [[nodiscard]] std::shared_ptr<os::Spawner::Job> cancel_restart(
      const std::shared_ptr<PluginCore>& plugin);
  [[nodiscard]] bool has_children() const;
  void signal_children(int signal_number);
  [[nodiscard]] ShutdownReport report(const std::vector<std::shared_ptr<PluginCore>>& killed) const;

  const std::shared_ptr<PeerContext> session_;
  const LocalOptions local_;
  const std::uint32_t max_plugins_;
  const os::UniqueFd own_pidfd_;
  const bool is_named_;
  std::unique_ptr<Reactor> reactor_;
  std::uint64_t look_id_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_watching_ = false;  ///< a thread is in `Reactor::wait`
  os::NamedMemory name_;      ///< of a named arena; goes after all that hangs on it
  bool is_listening_ = false;
  std::unique_ptr<Admission> admission_;  ///< once there is a listener; stays until the end
  ScopeExit remove_socket_;               ///< while the listener is open and the name is ours
  struct SeatUse {
    bool is_taken = false;
    bool is_used = false;     ///< to be wiped before it is given out again
    std::uint32_t epoch = 0;  ///< of who sits there, or sat there last
  };
  std::vector<SeatUse> seats_;  ///< per peer entry
  // Each with room for one more before it comes: nothing that has happened is forgotten for want of
  // memory.
  std::vector<std::shared_ptr<PluginCore>> plugins_;
  std::vector<std::shared_ptr<PluginProcess>> retired_;  ///< dead, their channels still in hands
  std::size_t starts_ = 0;                               ///< under way, first ones and restarts
  std::size_t reserved_ = 0;                             ///< places in `plugins_` for first ones
  ReactorTimer mind_timer_;                              ///< while restarts are under way
  /// Dead and seen to, but the status is still to be had.
  std::vector<std::shared_ptr<PluginProcess>> unburied_;
  bool is_shutting_down_ = false;
  os::Spawner spawner_;  ///< the first to go: its threads use the others
};

/// Keeps a channel for its users outside. When the last of them is gone, wherever that is, nobody
/// can receive what a dead process had sent: it need not wait for the next event. Its end takes the
/// host's mutex, so it must not come while that is held.
struct HostCore::ChannelLease {
  std::shared_ptr<ChannelCore> channel;
  std::weak_ptr<HostCore> host;
  ForkStamp owner;

  ChannelLease() = default;
  ChannelLease(const ChannelLease&) = delete;
  ChannelLease& operator=(const ChannelLease&) = delete;
  ~ChannelLease();
};

/// Makes a seat that was given out vacant again, unless it is kept. Mutex held.
class HostCore::SeatGuard {
 public:
  SeatGuard(HostCore& host, const PluginProcess& process) noexcept
      : host_(host), process_(&process) {}
  SeatGuard(const SeatGuard&) = delete;
  SeatGuard& operator=(const SeatGuard&) = delete;
  ~SeatGuard() {
    if (process_ != nullptr) host_.vacate(*process_);
  }
  void keep() noexcept { process_ = nullptr; }

 private:
  HostCore& host_;
  const PluginProcess* process_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
