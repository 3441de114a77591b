// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "mews/base/atomic.hpp"
#include "mews/base/function_ref.hpp"
#include "mews/channel.hpp"
#include "mews/os/wake.hpp"
#include "mews/ring/lane_consumer.hpp"
#include "mews/ring/lane_producer.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/role.hpp"
#include "mews/sync/spin.hpp"
#include "mews/sync/turn.hpp"
#include "session_core.hpp"

namespace mews::detail {

/// Channel c connects the host with peer c + 1: lane 2c leads to the plugin, 2c + 1 to the host.
[[nodiscard]] constexpr ChannelId channel_of(PeerId plugin) noexcept {
  return ChannelId{plugin.value() - 1};
}
[[nodiscard]] constexpr LaneId lane_to_plugin(ChannelId id) noexcept {
  return LaneId{2 * id.value()};
}
[[nodiscard]] constexpr LaneId lane_to_host(ChannelId id) noexcept {
  return LaneId{2 * id.value() + 1};
}

/// One end of a channel: two lanes, two roles, and the waiting. See `Channel` for what each
/// function promises.
class ChannelCore {
 public:
  /// `plugin` is the channel's plugin, whichever end this is.
  ChannelCore(std::shared_ptr<SessionCore> session, PeerId plugin,
              std::shared_ptr<os::WakeEnd> wake);

  [[nodiscard]] SessionCore& session() noexcept { return *session_; }

  // Results are filled where the caller has them: to move a loan or message on from function to
  // function costs more than all that is done with it there.
  void loan(Result<Loan>& out, std::size_t bytes, Patience patience);
  void loan_aligned(Result<Loan>& out, std::size_t bytes, std::size_t alignment, Patience patience);

  [[nodiscard]] Result<void> send(Loan& loan, Envelope envelope, Patience patience);
  [[nodiscard]] Result<void> send(std::span<const std::byte> bytes, Envelope envelope,
                                  Patience patience);
  [[nodiscard]] Result<std::size_t> try_send_batch(std::span<Loan> loans, Envelope envelope);
  [[nodiscard]] Result<void> close();
  /// Serialises the threads of a `SharedSender`.
  [[nodiscard]] sync::Turn& shared_turn() noexcept { return shared_turn_; }

  void receive(Result<Message>& out, Patience patience);
  using Visit = base::FunctionRef<void(const MessageView&)>;
  [[nodiscard]] Result<std::size_t> receive_batch(Visit visit, std::size_t limit,
                                                  Patience patience);

  [[nodiscard]] int event_fd() const noexcept { return wake_->event_fd(); }
  [[nodiscard]] Result<bool> arm_event();
  /// Hangs up when the other end of the channel is closed in all processes.
  [[nodiscard]] int hang_up_fd() const noexcept { return wake_->hang_up_fd(); }
  /// For an event loop that sleeps here: signals it if there is a message. True while it is armed
  /// and there is none. Any thread, after the look timer has come to rest.
  [[nodiscard]] bool look_for_loop() noexcept;

  /// The other end is gone, or the channel: nothing waits here any longer. What was published
  /// before is still received. Any thread; the first reason counts. `how` goes into the errors.
  void end(ErrorCode why, std::string how) noexcept;
  [[nodiscard]] std::optional<ErrorCode> ended() const noexcept;

  /// Nobody uses this end any more, or will: the other end is told that nothing follows, as by
  /// `close`, and that nobody reads what it sends. Nothing once the channel has ended. Any thread.
  void leave() noexcept;

  /// Payloads that the other end has published and this end has not received. Any thread, once
  /// the other end is dead.
  [[nodiscard]] std::vector<mem::SlabPool::Claim> published() const;

 private:
  using Code = std::optional<ErrorCode>;  ///< nothing: all is well

  /// A role, and the bell that its thread sleeps on.
  struct Seated {
    sync::Role& role;
    const sync::Doorbell& bell;
  };
  /// In that role: attempts, and while that would block, waits and attempts again, as far as
  /// `patience` goes. The first attempt is made without a clock.
  template <class Attempt, class Wait>
  Result<void> in_role(Seated seated, Patience patience, Attempt&& attempt, Wait&& wait);

  void loan_slab(Result<Loan>& out, std::size_t bytes, std::size_t room, Patience patience);

  // Sending, inside the send role.
  [[nodiscard]] Code why_not_send() const noexcept;
  [[nodiscard]] Code push(Payload& payload, Envelope envelope);
  [[nodiscard]] Code push_inline(std::span<const std::byte> bytes, Envelope envelope);
  [[nodiscard]] Code push_slab(Payload& payload, Envelope envelope);
  [[nodiscard]] Code mark_in_flight(Payload& payload);
  void take_back(Payload& payload) noexcept;
  template <class Push>
  Result<void> send_one(std::uint32_t cells, Patience patience, Push&& push);
  [[nodiscard]] Result<void> wait_for_room(const Until& until, std::uint32_t cells);
  [[nodiscard]] std::string full_text(std::uint64_t head_before,
                                      Deadline::Clock::duration waited) const;
  void publish();
  /// The payload, a slab, is somebody else's now.
  void let_go(Payload& payload) noexcept;

  // Receiving, inside the receive role.
  [[nodiscard]] Code next(layout::Descriptor& record);
  [[nodiscard]] Code take(Message& message);
  [[nodiscard]] Code take_payload(const layout::Descriptor& record, Payload& payload);
  [[nodiscard]] Code visit_all(Visit visit, std::size_t limit, std::size_t& count);
  [[nodiscard]] bool has_something() const noexcept;
  [[nodiscard]] Result<void> wait_for_record(const Until& until);
  void give_back_cells(ring::Look last_look);
  void disarm_loop() noexcept;
  template <class Attempt>
  Result<void> receive_by(Patience patience, Attempt&& attempt);

  /// The error for `code`, with what is known of the other end's death if it is that.
  [[nodiscard]] tl::unexpected<Error> failure(ErrorCode code) const;
  void ring(const sync::Doorbell& bell);
  [[nodiscard]] sync::RingFence fence() noexcept;

  std::shared_ptr<SessionCore> session_;
  PeerId other_;
  LaneId out_;
  LaneId in_;
  std::shared_ptr<os::WakeEnd> wake_;  ///< for event loops
  sync::Doorbell out_data_;            ///< we ring: records are there
  sync::Doorbell out_space_;           ///< we sleep: cells become free
  sync::Doorbell in_data_;             ///< we sleep: records are there
  sync::Doorbell in_space_;            ///< we ring: cells have become free
  base::LocalAtomic<int> ended_{-1};
  std::string end_how_;  ///< written once, before `ended_`
  std::once_flag end_once_;
  base::LocalAtomic<bool> is_light_{false};
  sync::Turn shared_turn_;

  alignas(64) sync::Role send_role_;
  ring::LaneProducer producer_;
  sync::SpinBudget send_spin_;
  Code send_failed_;  ///< closed here, or the other end's head is corrupt

  alignas(64) sync::Role receive_role_;
  ring::LaneConsumer consumer_;
  /// Where an armed event loop of the host's waits for a record; see `LookTimer`.
  static constexpr std::uint64_t kNoLoop = ~std::uint64_t{0};
  base::LocalAtomic<std::uint64_t> loop_position_{kNoLoop};
  bool is_loop_armed_ = false;  ///< the receiver's own note of it
  sync::SpinBudget receive_spin_;
  Code receive_failed_;  ///< closed by the other end, or what it wrote is corrupt
};

template <class Attempt, class Wait>
Result<void> ChannelCore::in_role(Seated seated, Patience patience, Attempt&& attempt,
                                  Wait&& wait) {
  if (!session_->is_own()) return fail(ErrorCode::wrong_process);
  const sync::RoleHold hold(seated.role);
  if (!hold) return fail(ErrorCode::concurrent_use);
  auto failed = attempt();
  if (failed == ErrorCode::would_block && patience.may_wait()) {
    const auto until = session_->until(patience);
    const WakeOnStop stop(until, [&bell = seated.bell] { (void)bell.ring_always(); });
    do {
      if (until.is_cancelled()) return fail(ErrorCode::cancelled);
      if (auto waited = wait(until); !waited) return waited;
      failed = attempt();
      // Only where the other end announces again and again what is not there then.
      if (failed == ErrorCode::would_block && until.deadline.has_passed()) {
        return fail(ErrorCode::timed_out, "the other end kept this call busy with nothing");
      }
    } while (failed == ErrorCode::would_block);
  }
  if (failed) return failure(*failed);
  return {};
}

}  // namespace mews::detail
