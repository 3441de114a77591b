// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mews/base/atomic.hpp"
#include "mews/base/function_ref.hpp"
#include "mews/base/visible.hpp"
#include "mews/detail/fork_stamp.hpp"
#include "mews/detail/peer_context.hpp"
#include "mews/detail/timeout.hpp"
#include "mews/error.hpp"
#include "mews/ids.hpp"
#include "mews/loan.hpp"
#include "mews/message.hpp"
#include "mews/options.hpp"
#include "mews/ring/lane_consumer.hpp"
#include "mews/ring/lane_producer.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/role.hpp"

namespace mews::os {
class WakeEnd;
}
namespace mews::sync {
class Turn;
}

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
///
/// `loan`, `send` and `receive` are in channel_fast.hpp: each tries once, inline, and leaves the
/// rest to its `_slow` twin in the library, which may find the same again and waits, if need be.
///
/// word            writer            readers        publish / observe             protects
/// ended_          `end`             any thread     seq_cst, before the bells     `end_how_`
/// is_light_       sender, receiver  the same       relaxed                       nothing: a note
/// loop_position_  receiver, reactor the same       seq_cst with LookTimer        nothing
class ChannelCore {
 public:
  /// `plugin` is the channel's plugin, whichever end this is.
  ChannelCore(std::shared_ptr<PeerContext> context, PeerId plugin,
              std::shared_ptr<os::WakeEnd> wake);
  ChannelCore(const ChannelCore&) = delete;
  ChannelCore& operator=(const ChannelCore&) = delete;
  ~ChannelCore();

  [[nodiscard]] PeerContext& session() noexcept { return *context_; }
  /// The peer at the other end.
  [[nodiscard]] PeerId other() const noexcept { return other_; }

  // Results are filled where the caller has them: to move a loan or message on from function to
  // function costs more than all that is done with it there.
  void loan(Result<Loan>& out, std::size_t bytes, Timeout timeout);
  void loan_aligned(Result<Loan>& out, std::size_t bytes, std::size_t alignment, Timeout timeout);

  [[nodiscard]] Result<void> send(Loan& loan, Envelope envelope, Timeout timeout);
  [[nodiscard]] Result<void> send(std::span<const std::byte> bytes, Envelope envelope,
                                  Timeout timeout);
  [[nodiscard]] Result<std::size_t> try_send_batch(std::span<Loan> loans, Envelope envelope);
  [[nodiscard]] Result<void> close();
  /// Serialises the threads of a `SharedSender`.
  [[nodiscard]] sync::Turn& shared_turn() noexcept;

  void receive(Result<Message>& out, Timeout timeout);
  using Visit = base::FunctionRef<void(const MessageView&)>;
  [[nodiscard]] Result<std::size_t> receive_batch(Visit visit, std::size_t limit, Timeout timeout);

  [[nodiscard]] int event_fd() const noexcept;
  [[nodiscard]] Result<bool> arm_event();
  /// Hangs up when the other end of the channel is closed in all processes.
  [[nodiscard]] int hang_up_fd() const noexcept;
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
  [[nodiscard]] std::vector<mem::SlabHandle> published() const;

 private:
  /// What became of one attempt; an error is what the call returns, but for `would_block`.
  using Tried = tl::expected<void, ErrorCode>;
  [[nodiscard]] static tl::unexpected<ErrorCode> refused(ErrorCode why) noexcept {
    return tl::unexpected<ErrorCode>(why);
  }

  /// A role, and the bell that its thread sleeps on.
  struct Seated {
    sync::Role& role;
    const sync::Doorbell& bell;
  };
  /// In that role: attempts, and while that would block, waits and attempts again, as far as
  /// `timeout` allows. The first attempt is made without a clock.
  template <class Attempt, class Wait>
  Result<void> in_role(Seated seated, Timeout timeout, Attempt&& attempt, Wait&& wait);

  // The way of a message: channel_fast.hpp. On false nothing has changed.
  [[nodiscard]] bool loan_fast(Payload& payload, std::size_t bytes) noexcept;
  [[nodiscard]] bool may_send() const noexcept;
  [[nodiscard]] bool push_fast(std::span<const std::byte> bytes, Envelope envelope) noexcept;
  [[nodiscard]] bool push_fast(Payload& payload, Envelope envelope) noexcept;
  [[nodiscard]] bool send_fast(std::span<const std::byte> bytes, Envelope envelope) noexcept;
  [[nodiscard]] bool send_fast(Payload& payload, Envelope envelope) noexcept;
  [[nodiscard]] bool receive_fast(Message& message) noexcept;
  [[nodiscard]] bool take_fast(const layout::Cell& first, const layout::Descriptor& record,
                               Payload& payload) noexcept;
  /// What was published behind this bell is seen by whoever sleeps there.
  void ring(const sync::Doorbell& bell) noexcept {
    // Relaxed: a note of what `ring_slow` has seen, which stays so.
    if (is_light_.load(std::memory_order_relaxed) && !bell.is_armed(sync::RingFence::light))
        [[likely]] {
      return;
    }
    ring_slow(bell);
  }

  // Their slow twins, and what they are made of.
  [[gnu::cold]] MEWS_VISIBLE void loan_slow(Result<Loan>& out, std::size_t bytes, Timeout timeout);
  void loan_slab(Result<Loan>& out, std::size_t bytes, std::size_t room, Timeout timeout);
  [[gnu::cold]] MEWS_VISIBLE void ring_slow(const sync::Doorbell& bell) noexcept;
  [[nodiscard]] sync::RingFence fence() noexcept;

  // Sending, inside the send role.
  [[gnu::cold]] MEWS_VISIBLE Result<void> send_slow(Loan& loan, Envelope envelope, Timeout timeout);
  [[gnu::cold]] MEWS_VISIBLE Result<void> send_slow(std::span<const std::byte> bytes,
                                                    Envelope envelope, Timeout timeout);
  [[nodiscard]] Tried check_may_send() const noexcept;
  /// Sending is `why` from now on.
  void fail_sending(ErrorCode why) noexcept {
    send_failed_ = why;
    producer_.end_fast_range();
  }
  [[nodiscard]] Tried push(Payload& payload, Envelope envelope);
  [[nodiscard]] Tried push_inline(std::span<const std::byte> bytes, Envelope envelope);
  [[nodiscard]] Tried push_slab(Payload& payload, Envelope envelope);
  [[nodiscard]] Tried mark_in_flight(Payload& payload);
  [[gnu::cold]] MEWS_VISIBLE void undo_send(Payload& payload) noexcept;
  template <class Push>
  Result<void> send_one(std::uint32_t cells, Timeout timeout, Push&& push);
  [[nodiscard]] Result<void> wait_for_room(const Until& until, std::uint32_t cells);
  [[nodiscard]] std::string full_text(std::uint64_t head_before,
                                      Deadline::Clock::duration waited) const;
  void publish() noexcept {
    producer_.publish();
    ring(out_data_);
  }
  /// The payload, a slab, is somebody else's now.
  void disown(Payload& payload) noexcept {
    context_->count_in();
    payload.forget();
  }

  // Receiving, inside the receive role.
  [[gnu::cold]] MEWS_VISIBLE void receive_slow(Result<Message>& out, Timeout timeout);
  /// Receiving is `why` from now on.
  void fail_receiving(ErrorCode why) noexcept {
    receive_failed_ = why;
    is_receive_plain_ = false;
  }
  [[nodiscard]] Tried next(layout::Descriptor& record);
  [[nodiscard]] Tried take(Message& message);
  [[nodiscard]] Tried take_payload(const layout::Descriptor& record, Payload& payload);
  [[nodiscard]] Tried visit_all(Visit visit, std::size_t limit, std::size_t& count);
  [[nodiscard]] bool has_something() const noexcept;
  [[nodiscard]] Result<void> wait_for_record(const Until& until);
  void give_back_cells(ring::Look last_look) noexcept {
    if (consumer_.release_cells(last_look)) ring(in_space_);
  }
  void disarm_loop() noexcept;
  template <class Attempt>
  Result<void> receive_by(Timeout timeout, Attempt&& attempt);

  /// The error for `code`, with what is known of the other end's death if it is that.
  [[nodiscard]] tl::unexpected<Error> failure(ErrorCode code) const;

  std::shared_ptr<PeerContext> context_;
  ForkStamp fork_stamp_;  ///< as the context's, one load nearer
  PeerId other_;
  LaneId out_;
  LaneId in_;
  sync::Doorbell out_data_;   ///< we ring: records are there
  sync::Doorbell out_space_;  ///< we sleep: cells become free
  sync::Doorbell in_data_;    ///< we sleep: records are there
  sync::Doorbell in_space_;   ///< we ring: cells have become free
  base::LocalAtomic<int> ended_{-1};
  base::LocalAtomic<bool> is_light_{false};
  /// What only the slow twins need.
  struct Slow;
  std::unique_ptr<Slow> slow_;

  alignas(64) sync::Role send_role_;
  ring::LaneProducer producer_;
  /// Closed here, or the other end's head is corrupt. The producer has no fast range then.
  std::optional<ErrorCode> send_failed_;

  alignas(64) sync::Role receive_role_;
  ring::LaneConsumer consumer_;
  /// Where an armed event loop of the host's waits for a record; see `LookTimer`.
  static constexpr std::uint64_t kNoLoop = ~std::uint64_t{0};
  base::LocalAtomic<std::uint64_t> loop_position_{kNoLoop};
  bool is_receive_plain_ = true;             ///< neither armed nor failed
  bool is_loop_armed_ = false;               ///< the receiver's own note of it
  std::optional<ErrorCode> receive_failed_;  ///< closed there, or what was written is corrupt
};

}  // namespace mews::detail
