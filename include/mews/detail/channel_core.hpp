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
#include "mews/sync/bell_waiter.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/role.hpp"
#include "mews/sync/spin.hpp"

namespace mews::inline MEWS_LAYOUT::os {
class WakeEnd;
}
namespace mews::inline MEWS_LAYOUT::sync {
class Turn;
}

namespace mews::inline MEWS_LAYOUT::detail {

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

/// One end of a channel: two lanes, two roles, and the waits. `Channel` documents each function.
///
/// `loan`, `send` and `receive` are in channel_fast.hpp: each tries once, inline. If that fails,
/// its `_slow` twin in the library tries again and waits if it must.
///
/// word            writer             readers            publish / observe        protects
/// ended_          `end`, once        any thread         [E1] / [E2] [E3] [E4]    `Slow::end_how`
/// is_light_       sender, receiver   sender, receiver   relaxed                  nothing: a note
/// loop_position_  receiver, reactor  receiver, reactor  [P1] / [P2] seq_cst,     nothing: a note
///                                                       with LookTimer [L1] [L2]
///
/// [E1] seq_cst: `end` stores the code, then rings the bells.
/// [E2] seq_cst: a sender looks after its slab has gone held -> in flight. Partners: [E1], then the
///      host's reclaiming scan. Either the scan finds the slab in flight to a dead peer, or the
///      sender sees the end.
/// [E3] acquire: a receiver looks here before it looks at the lane. After an end it then finds all
///      records that were published before.
/// [E4] relaxed: a waiter looks after arming. The fences of `arm` and `ring_always` order it
///      against [E1]: the waiter sees the end, or the bell wakes it.
class ChannelCore {
 public:
  /// `plugin` is the channel's plugin, whichever end this is.
  ChannelCore(std::shared_ptr<PeerContext> context, PeerId plugin,
              std::shared_ptr<os::WakeEnd> wake);
  ChannelCore(const ChannelCore&) = delete;
  ChannelCore& operator=(const ChannelCore&) = delete;
  ~ChannelCore();

  [[nodiscard]] PeerContext& session() noexcept { return *context_; }
  /// Returns the peer at the other end.
  [[nodiscard]] PeerId other() const noexcept { return other_; }

  // `out` is the caller's own result, filled in place: to move a loan or a message from function to
  // function costs more than the rest of the work.
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
  /// For one thread that waits for many. Arms the event but for the fence; returns the fence that
  /// is due (`Doorbell::fence_armed`) before the caller asks `has_news`.
  [[nodiscard]] Result<sync::ArmFence> arm_one_of_many();
  /// Returns whether `receive` would return at once: with a message, or with an end that it has not
  /// told yet. False while another thread receives. Wait-free.
  [[nodiscard]] bool has_news() noexcept;
  // For a link, to which the whole channel belongs.

  /// From now on this end sends and receives a link's records, and nothing else. Once, before
  /// either.
  void become_link() noexcept;
  [[nodiscard]] bool is_link() const noexcept { return is_link_; }
  /// A record of a link. Its message has the envelope as it came.
  struct Record {
    layout::RecordKind kind = layout::RecordKind::message;
    Message message;
  };
  /// Send a record of a link. Never block: a link sees to it that there is room, and its slabs need
  /// no window. `peer_corrupt` when there is none, besides the errors of `send`.
  [[nodiscard]] Result<void> send_record(layout::RecordKind kind, Loan& loan,
                                         const Envelope& envelope);
  [[nodiscard]] Result<void> send_record(layout::RecordKind kind, std::span<const std::byte> bytes,
                                         const Envelope& envelope);
  /// Returns why a loan cannot be sent here whatever the other end does, if so.
  [[nodiscard]] Result<void> check(const Loan& loan) const noexcept;
  /// As `loan`, of the slabs too that are kept for replies.
  void loan_for_reply(Result<Loan>& out, std::size_t bytes, Timeout timeout);
  /// As `loan`, but up to 480 bytes too are in a slab.
  void loan_in_slab(Result<Loan>& out, std::size_t bytes, Timeout timeout);
  [[nodiscard]] static bool is_in_slab(const Loan& loan) noexcept {
    return loan.payload_.is_valid() && !loan.payload_.is_inline();
  }
  /// Receives one, as `receive`. Null: without waiting.
  [[nodiscard]] Result<void> receive_record(Record& out, const Until* until);
  /// Returns whether a record, or the end, is there, as far as this thread sees. Any thread, also
  /// while another one receives.
  [[nodiscard]] bool may_have_record() const noexcept;
  /// Takes back the signals of this end's event descriptor. Look for what they told afterwards.
  void drain_event() noexcept;
  /// Makes a thread that receives look at its `Until` again. Any thread.
  void interrupt_receiver() noexcept;
  /// Returns the words in which the other end says which calls of this end it has taken.
  [[nodiscard]] const layout::CallsTaken& taken_there() const noexcept;
  /// Returns those in which this end says so.
  [[nodiscard]] layout::CallsTaken& taken_here() const noexcept;

  /// Returns a descriptor that hangs up when all processes have closed the other end.
  [[nodiscard]] int hang_up_fd() const noexcept;
  /// Signals the event loop that is armed here if a message has come. Returns true while a loop is
  /// armed and no message has come. Any thread, after `LookTimer::rest`.
  [[nodiscard]] bool look_for_loop() noexcept;

  /// Ends all waits: the other end or the channel is gone. Records published before are still
  /// received. Any thread; the first reason counts. `how` goes into the errors.
  void end(ErrorCode why, std::string how) noexcept;
  [[nodiscard]] std::optional<ErrorCode> ended() const noexcept;

  /// Gives up this end for good. Tells the other end that nothing follows, as `close` does, and
  /// that nobody reads its records any more. Does nothing once the channel has ended. Any thread.
  void leave() noexcept;

  /// Returns the slabs that the other end has published and this end has not received. Any thread,
  /// once the other end is dead.
  [[nodiscard]] std::vector<mem::SlabHandle> published() const;

 private:
  /// Outcome of one attempt. The call returns its error, unless that is `would_block`.
  using Tried = tl::expected<void, ErrorCode>;
  [[nodiscard]] static tl::unexpected<ErrorCode> refused(ErrorCode why) noexcept {
    return tl::unexpected<ErrorCode>(why);
  }

  /// A role, and the bell on which its thread sleeps.
  struct Seated {
    sync::Role& role;
    const sync::Doorbell& bell;
  };
  /// Enters the role and attempts. While an attempt would block, waits and attempts again, until
  /// `timeout` ends. The first attempt reads no clock.
  template <class Attempt, class Wait>
  Result<void> in_role(Seated seated, Timeout timeout, Attempt&& attempt, Wait&& wait);
  /// The waiting part: attempts again after each wait.
  template <class Attempt, class Wait>
  Result<void> repeat(const Until& until, Attempt&& attempt, Wait&& wait);

  /// Where the thread in a role waits, and how far it is.
  struct Waiting {
    sync::BellWaiter& waiter;
    sync::SpinBudget& spin;
    std::uint64_t position;
  };
  template <class IsReady, class Text>
  [[nodiscard]] Result<void> wait_at(const Waiting& at, const Until& until, IsReady&& is_ready,
                                     Text&& text);
  [[nodiscard]] Result<void> sleep_at(
      const Waiting& at, const Until& until, base::FunctionRef<bool()> is_ready,
      base::FunctionRef<std::string(Deadline::Clock::duration)> text);

  // The fast functions: channel_fast.hpp. On false nothing has changed, except that an end may have
  // emptied the payload (`undo_send`).
  [[nodiscard]] bool loan_fast(Payload& payload, std::size_t bytes) noexcept;
  [[nodiscard]] bool may_send() const noexcept;
  [[nodiscard]] bool push_fast(std::span<const std::byte> bytes, Envelope envelope) noexcept;
  [[nodiscard]] bool push_fast(Payload& payload, Envelope envelope) noexcept;
  template <class Sent>
  [[nodiscard]] bool push_in_role(Sent& sent, Envelope envelope) noexcept;
  /// Describes a payload in a slab.
  [[nodiscard]] static layout::Descriptor descriptor_of(
      Payload& payload, Envelope envelope,
      layout::RecordKind kind = layout::RecordKind::message) noexcept;
  [[nodiscard]] bool send_fast(std::span<const std::byte> bytes, Envelope envelope) noexcept;
  [[nodiscard]] bool send_fast(Payload& payload, Envelope envelope) noexcept;
  [[nodiscard]] bool receive_fast(Message& message) noexcept;
  [[nodiscard]] bool take_fast(const layout::Cell& first, const layout::Descriptor& record,
                               Payload& payload) noexcept;
  /// Wakes the thread or event loop that sleeps on `bell`, after a publication.
  void ring(const sync::Doorbell& bell) noexcept {
    // Relaxed: a note. Once `fence` has found the other end registered, that stays true.
    if (is_light_.load(std::memory_order_relaxed) && !bell.may_need_ring()) [[likely]] {
      return;
    }
    ring_slow(bell);
  }

  // The slow twins and their parts.
  [[gnu::cold]] MEWS_VISIBLE void loan_slow(Result<Loan>& out, std::size_t bytes, Timeout timeout);
  void loan_slab(Result<Loan>& out, std::size_t bytes, std::size_t room, Timeout timeout,
                 mem::Purpose purpose = mem::Purpose::ordinary);
  [[gnu::cold]] MEWS_VISIBLE void ring_slow(const sync::Doorbell& bell) noexcept;
  [[nodiscard]] sync::RingFence fence() noexcept;

  // Sending, inside the send role.
  [[gnu::cold]] MEWS_VISIBLE Result<void> send_slow(Loan& loan, const Envelope& envelope,
                                                    Timeout timeout);
  [[gnu::cold]] MEWS_VISIBLE Result<void> send_slow(std::span<const std::byte> bytes,
                                                    const Envelope& envelope, Timeout timeout);
  [[nodiscard]] Tried check_may_send() const noexcept;
  /// Sending is `why` from now on.
  void fail_sending(ErrorCode why) noexcept {
    send_failed_ = why;
    producer_.end_fast_range();
  }
  [[nodiscard]] Tried push(Payload& payload, Envelope envelope);
  [[nodiscard]] Tried push_inline(std::span<const std::byte> bytes, Envelope envelope,
                                  layout::RecordKind kind = layout::RecordKind::message);
  [[nodiscard]] Tried push_slab(Payload& payload, Envelope envelope);
  /// Once there is room.
  [[nodiscard]] Tried stage_slab(Payload& payload, Envelope envelope, layout::RecordKind kind);
  template <class Push>
  Result<void> send_now(Push&& push);
  [[nodiscard]] Tried mark_in_flight(Payload& payload);
  [[gnu::cold]] MEWS_VISIBLE void undo_send(Payload& payload) noexcept;
  /// What a record needs of the lane.
  struct Need {
    std::uint32_t cells = 1;
    std::optional<std::uint64_t> slab_bytes = {};
    [[nodiscard]] static Need inlined(std::size_t bytes) noexcept {
      return {.cells = layout::record_cells(bytes)};
    }
  };
  [[nodiscard]] bool has_room(const Need& need);
  template <class Push>
  Result<void> send_one(const Need& need, Timeout timeout, Push&& push);
  [[nodiscard]] Result<void> wait_for_room(const Until& until, const Need& need);
  [[nodiscard]] std::string full_text(const Need& need, std::uint64_t head_before,
                                      Deadline::Clock::duration waited);
  void publish() noexcept {
    producer_.publish();
    ring(out_data_);
  }
  /// Forgets a payload in a slab, which belongs to somebody else now.
  void disown(Payload& payload) noexcept {
    ++slabs_sent_;
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
  [[nodiscard]] Tried take_record(Record& out);
  [[nodiscard]] Tried take_next(const layout::Descriptor& record, Message& message);
  [[nodiscard]] Tried take_payload(const layout::Descriptor& record, Payload& payload);
  [[nodiscard]] Tried visit_all(Visit visit, std::size_t limit, std::size_t& count);
  [[nodiscard]] bool has_something() const noexcept;
  [[nodiscard]] Result<void> wait_for_record(const Until& until);
  void give_back_cells(ring::Look last_look) noexcept {
    if (consumer_.release_cells(last_look)) ring(in_space_);
  }
  [[nodiscard]] bool is_still_armed() const noexcept;
  [[nodiscard]] bool is_armed_too_long() noexcept;
  template <class Arm>
  [[nodiscard]] Result<void> arm_loop(Arm&& arm);
  void note_armed();
  void disarm_loop() noexcept;
  template <class Attempt>
  Result<void> receive_by(Timeout timeout, Attempt&& attempt);

  /// Returns the error for `code`; if the channel ended with `code`, with the text from `end`.
  [[nodiscard]] tl::unexpected<Error> failure(ErrorCode code) const;

  std::shared_ptr<PeerContext> context_;
  ForkStamp fork_stamp_;  ///< as the context's, one load nearer
  PeerId other_;
  LaneId out_;
  LaneId in_;
  sync::Doorbell out_data_;     ///< we ring: records are there
  sync::BellWaiter out_space_;  ///< we sleep: cells become free. In the send role
  sync::BellWaiter in_data_;    ///< we sleep: records are there. In the receive role
  sync::Doorbell in_space_;     ///< we ring: cells have become free
  base::LocalAtomic<int> ended_{-1};
  base::LocalAtomic<bool> is_light_{false};
  bool is_link_ = false;
  /// Members that only the slow twins use.
  struct Slow;
  std::unique_ptr<Slow> slow_;

  alignas(64) sync::Role send_role_;
  ring::LaneProducer producer_;
  /// Closed here, or the other end's head is corrupt. The producer has no fast range then.
  std::optional<ErrorCode> send_failed_;
  std::int64_t slabs_sent_ = 0;  ///< see `PeerContext::count_channel`

  alignas(64) sync::Role receive_role_;
  ring::LaneConsumer consumer_;
  /// Position of the record for which an armed event loop of the host waits; see `LookTimer`.
  static constexpr std::uint64_t kNoLoop = ~std::uint64_t{0};
  base::LocalAtomic<std::uint64_t> loop_position_{kNoLoop};
  bool is_receive_plain_ = true;             ///< neither armed nor failed
  bool is_loop_armed_ = false;               ///< the receiver's own note of it
  bool may_be_signalled_ = false;            ///< the event loop's descriptor may be readable
  std::uint32_t needless_arms_ = 0;          ///< of a bell that was armed still
  bool is_end_told_ = false;                 ///< a call that receives has returned the end
  std::optional<ErrorCode> receive_failed_;  ///< closed there, or what was written is corrupt
  const char* receive_detail_ = nullptr;     ///< of it, for the user
  std::int64_t slabs_received_ = 0;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
