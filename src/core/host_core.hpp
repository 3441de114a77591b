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
struct PluginProcess {
  PeerId peer{};
  std::uint32_t epoch = 0;
  pid_t pid = -1;
  os::UniqueFd watched;    ///< a pidfd, readable once it is gone; none within this process
  os::PluginWakeFds wake;  ///< the plugin's ends, until passed on: only the plugin may hold them
  std::shared_ptr<ChannelCore> channel;  ///< null once a seat was vacated without a lease
  unsigned leases = 0;                   ///< `ChannelLease`s that use the channel
  bool has_seat = false;
  bool is_recovered = false;  ///< its slabs are freed, its bells rung; the process may still run
  std::uint64_t watch_id = 0;
  std::uint64_t hang_up_id = 0;
  Deadline::Clock::time_point began{};
  bool is_dead = false;         ///< gone, and recovered
  bool is_left_behind = false;  ///< the host does not wait for its end any longer
  bool has_attached = false;    ///< known once it is dead
  Deadline::Clock::time_point died{};
  std::string how;                 ///< how it ended, as far as known: for errors
  std::optional<PluginExit> exit;  ///< set once it is dead, and its status is known or lost
  ReactorTimer status_timer;       ///< set while its status may still come
  std::chrono::milliseconds status_delay{1};
  ForkStamp owner;
};

class HostCore;

/// A plugin by name, across its successive processes. Guarded by the host's mutex.
class PluginCore {
 public:
  std::string name;
  bool is_spawned = false;  ///< a child of the host, which reaps it and ends it
  ProcessPlan plan;
  PluginOptions options;
  std::weak_ptr<HostCore> host;
  std::shared_ptr<PluginProcess> current;
  bool is_restarting = false;        ///< a restart is planned or under way
  bool is_retired = false;           ///< will have no next process: stopped, or its handle is gone
  std::optional<Error> not_started;  ///< why a planned restart failed
  std::chrono::milliseconds delay{0};
  ReactorTimer restart_timer;
  std::shared_ptr<os::Spawner::Job> job;             ///< the restart under way
  std::deque<Deadline::Clock::time_point> restarts;  ///< the restarts within the window
};

/// The host's side: seats, processes, deaths, restarts. Any thread.
class HostCore : public std::enable_shared_from_this<HostCore> {
 public:
  [[nodiscard]] static Result<std::shared_ptr<HostCore>> create(const CreateOptions& options);
  ~HostCore();

  /// A plugin and its current process. The channel is kept by a lease.
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
    PluginParts parts;
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
  /// Allows no further restart of this plugin.
  void retire(const std::shared_ptr<PluginCore>& plugin);

 private:
  using Lock = std::unique_lock<std::mutex>;
  class ChannelLease;
  class SeatGuard;
  class Admission;

  HostCore(std::shared_ptr<PeerContext> session, std::unique_ptr<Reactor> reactor,
           os::UniqueFd own_pidfd, const CreateOptions& options);

  // Seats (host_seats.cpp); mutex held.
  [[nodiscard]] Result<void> check_room();
  [[nodiscard]] Result<std::shared_ptr<PluginProcess>> invite(const std::string& name);
  [[nodiscard]] SeatOffer seat_of(const PluginProcess& process) const noexcept;
  void reset_seat(PeerId peer) noexcept;
  /// Withdraws the offer of a seat. Returns false if the process has taken the seat.
  [[nodiscard]] bool withdraw(const std::shared_ptr<PluginCore>& plugin) noexcept;

  // Recovery (recovery.cpp); mutex held.
  void recover(PluginProcess& process, const std::string& how);
  void vacate(PluginProcess& process) noexcept;
  /// The process never took its seat. A handler of its death may be waiting for the mutex, and
  /// does nothing then.
  void abandon(PluginProcess& process) noexcept;

  // Processes that the host did not start (host_join.cpp).
  [[nodiscard]] Result<void> open_door(const std::string& address);
  [[nodiscard]] Result<void> open_named_door(const std::string& name);
  [[nodiscard]] Result<PluginParts> admit_process(const std::shared_ptr<PluginCore>& plugin,
                                                  pid_t pid, os::UniqueFd watched);

  // Starts (host_start.cpp): prepared and recorded with the mutex held. The process is made without
  // the mutex.
  struct PreparedStart {
    std::shared_ptr<PluginProcess> process;
    os::SpawnOptions options;
  };
  [[nodiscard]] Result<PreparedStart> prepare_start(PluginCore& plugin);
  [[nodiscard]] Deadline start_deadline() const;
  /// Ends a start. On an error there is no process, and the seat is free.
  [[nodiscard]] Result<void> settle_start(const std::shared_ptr<PluginCore>& plugin,
                                          const std::shared_ptr<PluginProcess>& process,
                                          Result<os::Child> child);
  [[nodiscard]] Result<void> keep_child(const std::shared_ptr<PluginCore>& plugin,
                                        const std::shared_ptr<PluginProcess>& process,
                                        os::Child& child);

  // Restarts (host_restart.cpp).
  void plan_restart(const std::shared_ptr<PluginCore>& plugin, PluginExit& exit,
                    Deadline::Clock::duration lived);
  void restart(const std::shared_ptr<PluginCore>& plugin);
  [[nodiscard]] Result<void> begin_restart(const std::shared_ptr<PluginCore>& plugin);
  /// On an error nothing is under way, and the seat is free.
  [[nodiscard]] Result<std::shared_ptr<os::Spawner::Job>> submit(
      const std::shared_ptr<PluginCore>& plugin, PreparedStart start);
  void give_up_restarting(const std::shared_ptr<PluginCore>& plugin, const Error& why);
  void tell_no_restart(const std::shared_ptr<PluginCore>& plugin, const Error& why);
  void mind_starts();
  [[nodiscard]] std::shared_ptr<os::Spawner::Job> cancel_restart(
      const std::shared_ptr<PluginCore>& plugin);

  // Life and death (host_life.cpp).
  [[nodiscard]] Result<void> watch_process(const std::shared_ptr<PluginCore>& plugin,
                                           const std::shared_ptr<PluginProcess>& process);
  void on_gone(const std::shared_ptr<PluginCore>& plugin,
               const std::shared_ptr<PluginProcess>& process);
  [[nodiscard]] bool ask_later(const std::shared_ptr<PluginCore>& plugin,
                               const std::shared_ptr<PluginProcess>& process);
  void ask_status(const std::shared_ptr<PluginCore>& plugin,
                  const std::shared_ptr<PluginProcess>& process);
  /// Sets `exit`: its status is known or lost. Unlocks.
  void conclude(Lock lock, const std::shared_ptr<PluginCore>& plugin,
                const std::shared_ptr<PluginProcess>& process,
                const std::optional<os::ExitStatus>& status);
  [[nodiscard]] Result<void> watch_loops();
  /// The look timer has fired: signals each armed event loop whose record came without a signal.
  void look_for_loops();
  /// Waits until `is_done` or the end of `until`; returns whether `is_done` came first. Calls
  /// `is_done` with `lock` held. Sees a stop only once `interrupt` follows it.
  bool wait(Lock& lock, const Until& until, const std::function<bool()>& is_done);
  void interrupt() noexcept;
  /// Tells all plugins that the session is over.
  void leave() noexcept;
  /// Wakes all threads in `wait`.
  void announce() noexcept;

  // Processes that go on without the plugin (host_leave.cpp).
  [[nodiscard]] Result<void> watch_hang_up(const std::shared_ptr<PluginCore>& plugin,
                                           const std::shared_ptr<PluginProcess>& process);
  void on_hung_up(const std::shared_ptr<PluginCore>& plugin,
                  const std::shared_ptr<PluginProcess>& process);
  void part(const std::shared_ptr<PluginCore>& plugin,
            const std::shared_ptr<PluginProcess>& process, std::string how);
  void look_for_parted();

  // The host ends plugins (host_end.cpp).
  [[nodiscard]] Result<void> check_open() const;
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
  os::NamedMemory name_;      ///< of a named arena; outlives the members below, which depend on it
  bool is_listening_ = false;
  std::unique_ptr<Admission> admission_;  ///< once there is a listener; stays until the end
  ScopeExit remove_socket_;               ///< runs while the listener is open and the name is ours
  struct SeatUse {
    bool is_taken = false;
    bool is_used = false;     ///< must be wiped before it is given out again
    std::uint32_t epoch = 0;  ///< of its present process, or of its last
  };
  std::vector<SeatUse> seats_;  ///< per peer entry
  // Room for a new plugin is reserved before its start, so that no process is forgotten without
  // memory.
  std::vector<std::shared_ptr<PluginCore>> plugins_;
  std::size_t starts_ = 0;    ///< first starts and restarts under way
  std::size_t reserved_ = 0;  ///< places in `plugins_` for first starts under way
  ReactorTimer mind_timer_;   ///< set while restarts are under way
  /// Dead, with `exit` set, but not reaped yet.
  std::vector<std::shared_ptr<PluginProcess>> unburied_;
  bool is_shutting_down_ = false;
  os::Spawner spawner_;  ///< last member: its threads use the others, so it is destroyed first
};

/// Keeps a process's channel usable outside the host: all copies of the
/// `std::shared_ptr<ChannelCore>` that the host hands out share one lease. The seat of a dead
/// process becomes vacant when its last lease ends, on the thread that ends it: so its unreceived
/// slabs are freed without a wait for the next event. The destructor locks the host's mutex, so it
/// must not run while the mutex is held.
class HostCore::ChannelLease {
 public:
  /// Not begun: the destructor does nothing. Make it before the process: its allocation may fail.
  ChannelLease() = default;
  ChannelLease(const ChannelLease&) = delete;
  ChannelLease& operator=(const ChannelLease&) = delete;
  ~ChannelLease();

  /// Begins the lease. Once; mutex held.
  void begin(HostCore& host, std::shared_ptr<PluginProcess> process);
  /// Returns the process's channel, which keeps `lease`.
  [[nodiscard]] static std::shared_ptr<ChannelCore> hand_out(std::shared_ptr<ChannelLease> lease) {
    auto* const channel = lease->process_->channel.get();
    return {std::move(lease), channel};
  }

 private:
  std::weak_ptr<HostCore> host_;
  std::shared_ptr<PluginProcess> process_;
};

/// Makes a seat that was given out vacant again, unless it is kept. Mutex held.
class HostCore::SeatGuard {
 public:
  SeatGuard(HostCore& host, PluginProcess& process) noexcept : host_(host), process_(&process) {}
  SeatGuard(const SeatGuard&) = delete;
  SeatGuard& operator=(const SeatGuard&) = delete;
  ~SeatGuard() {
    if (process_ != nullptr) host_.abandon(*process_);
  }
  void keep() noexcept { process_ = nullptr; }

 private:
  HostCore& host_;
  PluginProcess* process_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
