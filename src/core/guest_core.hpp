// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "channel_core.hpp"
#include "invitation.hpp"
#include "session_core.hpp"
#include "watcher.hpp"

namespace mews::detail {

/// The plugin's side: one seat, one channel, and an eye on the host.
class GuestCore {
 public:
  /// What a guest within the host's own process has of it.
  struct Within {
    std::shared_ptr<const mem::Arena> arena;  ///< the host's mapping
    LeaveSignal leave_signal;                 ///< given when the guest goes
  };
  /// Takes the seat of `invitation`. `within` is empty in a process of its own.
  [[nodiscard]] static Result<std::unique_ptr<GuestCore>> join(Invitation invitation, Within within,
                                                               const LocalOptions& local,
                                                               Deadline deadline);
  GuestCore(const GuestCore&) = delete;
  GuestCore& operator=(const GuestCore&) = delete;
  ~GuestCore();

  [[nodiscard]] const std::shared_ptr<ChannelCore>& channel() const noexcept { return channel_; }
  [[nodiscard]] const std::shared_ptr<SessionCore>& session() const noexcept { return session_; }
  [[nodiscard]] Watch& watch() noexcept { return *watch_; }

 private:
  GuestCore() = default;

  std::shared_ptr<SessionCore> session_;
  std::uint32_t epoch_ = 0;
  bool is_seated_ = false;
  std::shared_ptr<ChannelCore> channel_;
  os::UniqueFd host_pidfd_;
  LeaveSignal leave_signal_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace mews::detail
