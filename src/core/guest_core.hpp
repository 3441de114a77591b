// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "invitation.hpp"
#include "mews/detail/channel_core.hpp"
#include "mews/detail/peer_context.hpp"
#include "reactor.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// The plugin's side: one seat, one channel, and a watch on the host.
class GuestCore {
 public:
  /// Takes the seat of `invitation`. `within`: the host's arena, for a guest in the host's process;
  /// otherwise null.
  [[nodiscard]] static Result<std::unique_ptr<GuestCore>> join(
      Invitation invitation, std::shared_ptr<const mem::Arena> within, const LocalOptions& local,
      Deadline deadline);
  GuestCore(const GuestCore&) = delete;
  GuestCore& operator=(const GuestCore&) = delete;
  ~GuestCore();

  [[nodiscard]] const std::shared_ptr<ChannelCore>& channel() const noexcept { return channel_; }
  [[nodiscard]] const std::shared_ptr<PeerContext>& session() const noexcept { return session_; }
  [[nodiscard]] Reactor& reactor() noexcept { return *reactor_; }

 private:
  GuestCore() = default;
  [[nodiscard]] Result<void> watch_host();
  void on_hung_up();

  std::shared_ptr<PeerContext> session_;
  bool is_seated_ = false;
  std::shared_ptr<ChannelCore> channel_;
  os::UniqueFd host_pidfd_;
  std::unique_ptr<Reactor> reactor_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
