// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "at_end.hpp"
#include "channel_core.hpp"
#include "invitation.hpp"
#include "mews/options.hpp"
#include "mews/os/named_memory.hpp"
#include "owner.hpp"
#include "session_core.hpp"
#include "watcher.hpp"

namespace mews::detail {

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
  std::optional<PluginExit> exit;  ///< set after all that it had has been taken back
  Owner owner;
};

class HostCore;

/// A plugin by name, through the processes that play it. Guarded by the host's mutex.
class PluginCore {
 public:
  std::string name;
  std::vector<std::string> command;  ///< empty: not a child of ours
  /// As it was at the first start: nobody may read it while another thread changes it, and a
  /// restart is made by a thread of ours.
  std::vector<std::string> environment;
  PluginOptions options;
  std::weak_ptr<HostCore> host;
  std::shared_ptr<PluginProcess> current;
  bool is_restarting = false;
  std::optional<Error> not_started;  ///< why there is no next process where one was planned
  std::chrono::milliseconds delay{0};
  os::UniqueFd restart_timer;
  std::uint64_t timer_id = 0;
};

/// The host's side: seats, processes, deaths, restarts. Any thread.
class HostCore : public std::enable_shared_from_this<HostCore> {
 public:
  [[nodiscard]] static Result<std::shared_ptr<HostCore>> create(const CreateOptions& options);
  ~HostCore();

  /// A plugin with the process that plays it now. The channel is here by itself, because a process
  /// that dies at once lets go of its own.
  struct Cast {
    std::shared_ptr<PluginCore> plugin;
    std::shared_ptr<PluginProcess> process;
    std::shared_ptr<ChannelCore> channel;
  };
  [[nodiscard]] Result<Cast> spawn(const std::string& name, const std::vector<std::string>& command,
                                   PluginOptions options);
  [[nodiscard]] Result<void> listen(const std::string& address);
  [[nodiscard]] Result<Cast> admit(Deadline deadline, const std::stop_token& stop);
  struct Local {
    Cast cast;
    Invitation invitation;
  };
  [[nodiscard]] Result<Local> connect(const std::string& name);

  std::vector<std::string> shutdown(Deadline deadline);
  [[nodiscard]] Watch& watch() noexcept { return *watch_; }
  [[nodiscard]] const std::shared_ptr<SessionCore>& session() const noexcept { return session_; }
  [[nodiscard]] const LocalOptions& local() const noexcept { return local_; }

  // For Plugin.
  [[nodiscard]] bool is_gone(const PluginProcess& process);
  [[nodiscard]] std::optional<PluginExit> exit_of(const PluginProcess& process);
  [[nodiscard]] Result<PluginExit> wait_exit(const PluginProcess& process, const Until& until);
  [[nodiscard]] Result<Cast> wait_next(const std::shared_ptr<PluginCore>& plugin,
                                       const std::shared_ptr<PluginProcess>& last,
                                       const Until& until);

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct Holding;
  class SeatGuard;
  class Admission;

  HostCore(std::shared_ptr<SessionCore> session, std::unique_ptr<Watch> watch,
           os::UniqueFd own_pidfd, const CreateOptions& options);

  // Seats (host_seats.cpp); mutex held.
  [[nodiscard]] Result<void> check_room();
  [[nodiscard]] Result<std::shared_ptr<PluginProcess>> invite(const std::string& name);
  [[nodiscard]] Seat seat_of(const PluginProcess& process) const noexcept;
  void reset_seat(PeerId peer) noexcept;
  /// Takes back what dead processes had sent and nobody can receive any more.
  void collect_seats();
  void vacate(const PluginProcess& process) noexcept;
  /// The offer of a seat does not hold any longer. False when it has been taken up.
  [[nodiscard]] bool withdraw(const std::shared_ptr<PluginCore>& plugin) noexcept;
  /// `holding` is a new one: what can fail for want of memory comes before the plugin does.
  [[nodiscard]] Cast cast_of(const std::shared_ptr<PluginCore>& plugin,
                             std::shared_ptr<Holding> holding);

  // Processes that the host did not start (host_join.cpp).
  [[nodiscard]] Result<void> open_door(const std::string& address);
  [[nodiscard]] Result<void> open_named_door(const std::string& name);
  [[nodiscard]] Result<Cast> seat(const std::shared_ptr<PluginCore>& plugin, pid_t pid,
                                  os::UniqueFd watched);

  // Life and death (host_life.cpp).
  [[nodiscard]] Result<void> start(const std::shared_ptr<PluginCore>& plugin);
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
  void take_back_all(PluginProcess& process, const std::string& how);
  void on_gone(const std::shared_ptr<PluginCore>& plugin,
               const std::shared_ptr<PluginProcess>& process);
  [[nodiscard]] PluginExit exit_text(const PluginCore& plugin, const PluginProcess& process);
  void plan_restart(const std::shared_ptr<PluginCore>& plugin, PluginExit& exit,
                    Deadline::Clock::duration lived);
  [[nodiscard]] Result<void> set_restart_timer(const std::shared_ptr<PluginCore>& plugin);
  void restart(const std::shared_ptr<PluginCore>& plugin);
  /// The look timer has fired: event loops are told what their bells may not have told them.
  [[nodiscard]] Result<void> watch_loops();
  void look_for_loops();
  /// Waits with `lock` held in between; true when `is_done` came true before the end of `until`. A
  /// stop is seen when `interrupt` follows it.
  template <class IsDone>
  bool wait(Lock& lock, const Until& until, IsDone&& is_done);
  void interrupt() noexcept;
  /// Tells all plugins that the session is over.
  void leave() noexcept;
  /// Whoever waits looks again.
  void announce() noexcept;
  [[nodiscard]] bool has_children() const;
  void signal_children(int signal_number, std::vector<std::string>* names);

  const std::shared_ptr<SessionCore> session_;
  const LocalOptions local_;
  const std::uint32_t max_plugins_;
  const os::UniqueFd own_pidfd_;
  const bool is_named_;
  std::unique_ptr<Watch> watch_;
  std::uint64_t look_id_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_watching_ = false;  ///< a thread is in `Watch::wait`
  os::NamedMemory name_;      ///< of a named arena; goes after all that hangs on it
  bool is_listening_ = false;
  std::unique_ptr<Admission> admission_;  ///< once there is a listener; stays until the end
  AtEnd remove_socket_;                   ///< while the listener is open and the name is ours
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
  bool is_shutting_down_ = false;
};

/// Keeps a channel for its users outside. When the last of them is gone, wherever that is, nobody
/// can receive what a dead process had sent: it need not wait for the next event. Its end takes the
/// host's mutex, so it must not come while that is held.
struct HostCore::Holding {
  std::shared_ptr<ChannelCore> channel;
  std::weak_ptr<HostCore> host;
  Owner owner;

  Holding() = default;
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;
  ~Holding();
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

}  // namespace mews::detail
