// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "mews/detail/channel_fast.hpp"
#include "mews/os/wake.hpp"
#include "mews/sync/spin.hpp"
#include "mews/sync/turn.hpp"
#include "wake_on_stop.hpp"

/// Shared by the slow twins of channel_fast.hpp: waiting, and the members that it needs.
namespace mews::inline MEWS_LAYOUT::detail {

struct ChannelCore::Slow {
  Slow(std::shared_ptr<os::WakeEnd> wake_end, const PeerContext& context)
      : wake(std::move(wake_end)),
        send_spin(context.spin_limit(), context.turns()),
        receive_spin(context.spin_limit(), context.turns()) {}

  std::shared_ptr<os::WakeEnd> wake;  ///< for event loops
  sync::SpinBudget send_spin;
  sync::SpinBudget receive_spin;
  sync::Turn shared_turn;
  std::once_flag end_once;
  std::string end_how;  ///< written once, before `ended_` [E1]
};

template <class Attempt, class Wait>
Result<void> ChannelCore::repeat(const Until& until, Attempt&& attempt, Wait&& wait) {
  Tried tried;
  const auto would_block = [&tried] { return !tried && tried.error() == ErrorCode::would_block; };
  do {
    if (until.is_cancelled()) return fail(ErrorCode::cancelled);
    if (auto waited = wait(until); !waited) return waited;
    tried = attempt();
    // Happens only if the other end rings again and again without a record or room.
    if (would_block() && until.deadline.has_passed()) {
      return fail(ErrorCode::timed_out, "the other end woke this call again and again for nothing");
    }
  } while (would_block());
  if (!tried) return failure(tried.error());
  return {};
}

template <class Attempt, class Wait>
Result<void> ChannelCore::in_role(Seated seated, Timeout timeout, Attempt&& attempt, Wait&& wait) {
  if (!context_->is_own()) return fail(ErrorCode::wrong_process);
  const sync::RoleGuard guard(seated.role);
  if (!guard) return fail(ErrorCode::concurrent_use);
  const auto tried = attempt();
  if (tried) return {};
  if (tried.error() != ErrorCode::would_block || !timeout.may_wait()) {
    return failure(tried.error());
  }
  const auto until = context_->until(timeout);
  const WakeOnStop stop(until, [&bell = seated.bell] { (void)bell.ring_always(); });
  return repeat(until, attempt, wait);
}

// Looks, spins, and sleeps until `is_ready()`. `text` says what did not come, for the time that it
// waited.
template <class IsReady, class Text>
Result<void> ChannelCore::wait_at(const Waiting& at, const Until& until, IsReady&& is_ready,
                                  Text&& text) {
  at.waiter.tend(at.position);
  if (at.spin.spin(is_ready, until.deadline)) return {};
  return sleep_at(at, until, is_ready, text);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
