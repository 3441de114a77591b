// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "link_stream.hpp"
#include "mews/base/atomic.hpp"
#include "mews/detail/channel_core.hpp"
#include "mews/layout/call_id.hpp"
#include "mews/link.hpp"
#include "mews/os/unique_fd.hpp"
#include "mews/sync/lead.hpp"
#include "mews/sync/lock.hpp"
#include "mews/sync/turn.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// A call that has come.
struct TakenCall {
  std::uint32_t slot = 0;
  bool is_stream = false;
  Message message;
  Message lent;  ///< for the reply
  Deadline deadline = forever;
};

/// The inside of a link: a table of the calls that this end has started, one of those that have
/// come, and the lead, which takes in what comes for all threads. `Link` documents each function.
///
/// **The slot table.** A call has a slot from `start` until its owner (the caller) has its outcome
/// *and* the other end has answered. Its word has the state and the generation:
///
///   free ──owner──▶ open ──lead: answer, end──▶ settled ──owner: collects──▶ free
///                    │ owner: gives up
///                    ▼
///                  leaving ──owner: has sent the cancel──▶ gone ──lead: answer, end──▶ free
///                    └──lead: answer, end──▶ settled ──owner: has sent the cancel──▶ free
///
/// The lead and the owner decide by one exchange of the word which of the two ends an open call.
/// The lead writes the outcome before it tries: the loser's outcome is dropped. While the owner is
/// leaving the slot stays its own, or the cancel could come behind the slot's next request.
///
/// word              writer         readers      publish / observe            protects
/// Outgoing::word    owner, lead    owner, lead  [K1] release / [K2] acquire  the outcome
/// free_             owner, lead    owner        [K3] release / [K4] acquire  the slot
/// Incoming::word    lead, callee   lead         [K5] release / [K6] acquire  the request's fields
/// ended_            the lead       any thread   [K7] / [K8] seq_cst          nothing: says "stop"
/// interrupted_      any thread     the lead     set, then its bell           nothing: says "look"
/// queued_           mutex          any thread   the mutex; relaxed           nothing: a hint
/// streams_free_     owner, lead    owner        seq_cst, see `Lead`          nothing: a count
/// is_loop_waiting_  any thread     any thread   [K9]                         nothing: says
/// "signal"
///
/// **Streams.** A stream is a call that stays open: `open` is its request, and its answer, `reply`
/// or `failure`, comes when the acceptor drops its end. Its data goes from `StreamEnd` to
/// `StreamEnd` meanwhile, to which the slots of both ends lead. Records that cross the answer find
/// a slot that is free, and are dropped.
///
/// [K7] [K8]: a starter opens its slot, sends, and then looks at the end [K8]; the lead notes the
/// end [K7] and then goes through the slots. One of the two ends the call.
/// [K9]: an event loop that finds a lead sets it; the lead, leaving, asks for it after it has left.
///
/// Crash of the other process at any moment: its lane ends, the lead learns it (`receive_record`)
/// after all that was published before, and ends all calls. A request that was not taken there
/// (`layout::CallsTaken`) was not begun.
class LinkCore {
 public:
  LinkCore(std::shared_ptr<ChannelCore> channel, LinkOptions options, layout::LinkLimits limits);
  LinkCore(const LinkCore&) = delete;
  LinkCore& operator=(const LinkCore&) = delete;
  ~LinkCore();

  [[nodiscard]] ChannelCore& channel() noexcept { return *channel_; }
  [[nodiscard]] const std::shared_ptr<ChannelCore>& shared_channel() const noexcept {
    return channel_;
  }
  [[nodiscard]] bool is_own() const noexcept { return fork_stamp_.is_this_process(); }

  // The caller's side (link_caller.cpp).
  enum class MayWait : bool { no, yes };
  /// `until` ends the call; and the wait for a credit.
  [[nodiscard]] Result<std::uint32_t> start(const Body& body, const CallOptions& options,
                                            const Until& until, MayWait may_wait);
  [[nodiscard]] Result<Message> call(const Body& body, const CallOptions& options, Timeout timeout);
  /// Returns when a wait that begins now is to end. It reads a coarse clock, as the time it began
  /// is for texts alone.
  [[nodiscard]] Until until(const Timeout& timeout) const noexcept;
  /// `until` has the call's deadline.
  [[nodiscard]] Result<Message> get(std::uint32_t slot, const Until& until);
  [[nodiscard]] Deadline deadline_of(std::uint32_t slot) const noexcept;
  /// Returns whether the other process is known to have died.
  [[nodiscard]] bool is_dead() const noexcept { return ended() == ErrorCode::peer_died; }
  /// Returns how long from now a call that was given up will be unanswered for `after` past its
  /// deadline, zero if one is already; nothing when there is none.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> overdue_in(std::chrono::nanoseconds after);
  [[nodiscard]] bool is_ready(std::uint32_t slot);
  [[nodiscard]] Result<void> wait_settled(std::uint32_t slot, Timeout timeout);
  [[nodiscard]] bool on_ready(std::uint32_t slot, std::function<void()> done);
  void cancel(std::uint32_t slot) noexcept;
  [[nodiscard]] std::uint32_t credits() const noexcept { return credits_; }
  [[nodiscard]] std::uint32_t open_calls() const noexcept {
    // Relaxed: a figure.
    return credits_ -
           static_cast<std::uint32_t>(std::popcount(free_.load(std::memory_order_relaxed)));
  }

  /// Copies bytes into a loan.
  [[nodiscard]] Result<Loan> loan_of(std::span<const std::byte> bytes, mem::Purpose purpose,
                                     Timeout timeout);
  /// Once it has ended: why.
  [[nodiscard]] Error end_error() const noexcept;

  // The callee's side (link_callee.cpp).
  [[nodiscard]] Result<TakenCall> accept(Timeout timeout);
  [[nodiscard]] Result<void> reply(std::uint32_t slot, const Body& body, std::uint32_t type,
                                   Deadline deadline);
  [[nodiscard]] Result<void> fail_call(std::uint32_t slot, ErrorCode code, std::string_view text);
  [[nodiscard]] bool is_cancelled(std::uint32_t slot);
  [[nodiscard]] std::stop_token stop_token(std::uint32_t slot);

  // Streams (link_stream.cpp). `Stream` documents each function.
  [[nodiscard]] Result<std::shared_ptr<StreamEnd>> open(const Body& body,
                                                        const CallOptions& options,
                                                        const Until& until, MayWait may_wait);
  [[nodiscard]] Result<std::shared_ptr<StreamEnd>> accept_stream(std::uint32_t slot,
                                                                 std::uint32_t type);
  void loan_piece(Result<Loan>& out, std::size_t bytes, Timeout timeout);
  [[nodiscard]] Result<void> send_piece(StreamEnd& end, const Body& piece, Timeout timeout);
  [[nodiscard]] Result<void> finish(StreamEnd& end);
  [[nodiscard]] Result<Message> receive_piece(StreamEnd& end, Timeout timeout);
  void reset(StreamEnd& end, ErrorCode code) noexcept;
  /// The end's owner is done with it.
  void drop(StreamEnd& end) noexcept;
  /// Waits until `word` of the stream is true; the stream's error, if it has one then.
  [[nodiscard]] Result<void> wait_stream(StreamEnd& end, const base::LocalAtomic<bool>& word,
                                         Timeout timeout);
  [[nodiscard]] bool watch(StreamEnd::Watch& watch, const base::LocalAtomic<bool>& word,
                           std::function<void()> done);

  // Event loops (link_loop.cpp).

  /// Returns the descriptor for an event loop, which the first call makes; -1 when it cannot.
  [[nodiscard]] int event_fd() noexcept;
  [[nodiscard]] Result<bool> dispatch();
  [[nodiscard]] Result<bool> arm_event();
  /// For a wait set: returns whether `dispatch` or `try_accept` has something to do.
  [[nodiscard]] bool has_news() noexcept;
  /// For a wait set: as `ChannelCore::arm_one_of_many`.
  [[nodiscard]] Result<sync::ArmFence> arm_one_of_many();

 private:
  enum class State : std::uint32_t { free, open, leaving, gone, settled };
  /// A call's or request's word.
  struct Word {
    std::uint32_t generation = 0;
    State state = State::free;
    [[nodiscard]] std::uint32_t pack() const noexcept {
      return generation << 3 | static_cast<std::uint32_t>(state);
    }
    [[nodiscard]] static Word unpack(std::uint32_t word) noexcept {
      return {.generation = word >> 3, .state = static_cast<State>(word & 7)};
    }
  };
  using AtomicWord = base::LocalAtomic<std::uint32_t>;

  /// A call of this end.
  struct Outgoing {
    AtomicWord word{0};
    // The owner's, before `open`; others read them, for texts and for `overdue_in`.
    base::LocalAtomic<std::uint32_t> type{0};
    base::LocalAtomic<std::int64_t> began_ns{0};
    base::LocalAtomic<std::int64_t> deadline_ns{0};
    base::LocalAtomic<bool> has_done{false};
    // The lead's, before `settled`; then the owner's.
    Message reply;
    std::optional<Error> error;
    std::function<void()> done;                ///< mutex
    std::shared_ptr<StreamEnd> stream;         ///< mutex
    base::LocalAtomic<bool> is_stream{false};  ///< the owner's, before `open`
  };
  /// A call of the other end. It is `open` from its arrival until its answer, otherwise `free`.
  struct Incoming {
    AtomicWord word{0};
    std::uint32_t deadline = 0;  ///< as it travels; of a stream the caller's window
    bool is_stream = false;
    base::LocalAtomic<bool> is_cancelled{false};
    Message message;                        ///< until it is accepted
    Message lent;                           ///< likewise
    std::shared_ptr<StreamEnd> stream;      ///< mutex
    bool is_stream_finished = false;        ///< mutex; by its opener, before it was accepted
    std::optional<std::stop_source> stops;  ///< mutex; made when asked for
    base::LocalAtomic<bool> has_stops{false};
  };

  // Taking in (link_core.cpp).
  /// What the lead waits for itself, and takes without a detour.
  struct Own {
    const Outgoing* call = nullptr;
    std::optional<std::uint32_t>* request = nullptr;
  };
  /// Waits for `is_done`. An error says why it is not.
  template <class IsDone>
  [[nodiscard]] Result<void> wait(sync::Lead::Wanted wanted, const Own& own, const Until& until,
                                  IsDone&& is_done);
  /// Takes one record in. Lead only. Null: without waiting. `would_block`, or the reason to stop.
  [[nodiscard]] Result<void> draw(const Until* until, const Own& own);
  void take_in(ChannelCore::Record& record, const Own& own);
  void take_in_request(ChannelCore::Record& record, const layout::CallId& id, const Own& own);
  void take_in_lend(Message& message, const layout::CallId& id);
  [[nodiscard]] bool may_begin(const layout::CallId& id);
  void take_in_answer(ChannelCore::Record& record, const layout::CallId& id, const Own& own);
  void take_in_cancel(const layout::CallId& id);
  // Streams (link_streams.cpp).
  void take_in_stream(ChannelCore::Record& record, const layout::CallId& id);
  [[nodiscard]] const char* take_into(StreamEnd& end, ChannelCore::Record& record,
                                      const layout::CallId& id);
  void end_stream(const std::shared_ptr<StreamEnd>& end, ErrorCode code, const std::string& what);
  [[nodiscard]] std::shared_ptr<StreamEnd> stream_of(const Outgoing& call) const;
  [[nodiscard]] std::shared_ptr<StreamEnd> stream_of(const Incoming& call) const;
  void tell_stream(StreamEnd& end);
  void tell_watches(StreamEnd& end);
  [[nodiscard]] bool tell_watch(StreamEnd::Watch& watch, const base::LocalAtomic<bool>& word);
  [[nodiscard]] Error stream_error(StreamEnd& end, ErrorCode code, const std::string& what) const;
  [[nodiscard]] bool take_stream_place() noexcept;
  void give_stream_place() noexcept;
  [[nodiscard]] static bool move(Outgoing& call, Word from, State to) noexcept;
  void let_go(std::uint32_t slot, std::uint32_t generation);
  void tell_owner(Outgoing& call);
  void queue_done(Outgoing& call);
  void note_stop(Incoming& call);
  void run_stops_due() noexcept;
  void run_ready();
  void end(Error why);
  void end_call(std::uint32_t slot);
  /// The other end sent what no correct link sends.
  void cut_off(std::string what);
  [[nodiscard]] std::optional<ErrorCode> ended() const noexcept {
    // [K8] seq_cst: after a slot was opened; partner [K7].
    const auto code = ended_.load(std::memory_order_seq_cst);
    return code < 0 ? std::nullopt : std::optional(static_cast<ErrorCode>(code));
  }
  /// Takes in what has come, unless another thread does. The reason why it could not, if any.
  [[nodiscard]] Result<void> look();
  void signal_waiting_loop() noexcept;
  void signal_loop() noexcept;
  [[nodiscard]] Result<void> announce_loop() noexcept;
  [[nodiscard]] bool has_work() noexcept;
  void tell_end() noexcept {
    // Relaxed: a note of the loop's own.
    is_end_told_.store(true, std::memory_order_relaxed);
  }
  void interrupt() noexcept;
  void tell(const void* key);

  [[nodiscard]] Result<void> send(layout::RecordKind kind, const Body& body,
                                  const layout::CallId& id, std::uint32_t type);

  // The caller's.
  [[nodiscard]] Result<std::uint32_t> start(const Body& body, const CallOptions& options,
                                            const Until& until, MayWait may_wait,
                                            std::shared_ptr<StreamEnd> stream);
  [[nodiscard]] Result<std::uint32_t> await_slot(const Until& until, MayWait may_wait,
                                                 bool is_stream);
  [[nodiscard]] Result<void> prepare_call(const Body& body, const CallOptions& options,
                                          Timeout timeout, Loan& copy, Loan& lent);
  [[nodiscard]] Result<void> begin_call(std::uint32_t slot, const Body& body,
                                        const CallOptions& options, const Until& until, Loan& lent,
                                        std::shared_ptr<StreamEnd> stream);
  [[nodiscard]] std::optional<std::uint32_t> claim_slot() noexcept;
  [[nodiscard]] std::optional<std::uint32_t> claim_slot(bool is_stream) noexcept;
  void give_slot(std::uint32_t slot);
  /// Tells the other end by a cancel, with `detail`, unless `detail` is empty.
  [[nodiscard]] bool give_up(std::uint32_t slot, std::optional<std::uint32_t> detail) noexcept;
  [[nodiscard]] Result<Message> collect(std::uint32_t slot);
  [[nodiscard]] Error call_error(std::uint32_t slot, ErrorCode code, const std::string& what) const;
  [[nodiscard]] std::string call_name(std::uint32_t type) const;
  [[nodiscard]] std::string open_calls_text(bool is_stream) const;
  [[nodiscard]] bool is_settled(std::uint32_t slot) const noexcept;
  void forget_done(Outgoing& call);
  void forget_ready(const void* key, std::function<void()>& waiting,
                    base::LocalAtomic<bool>& is_set);
  void queue_ready(const void* key, std::function<void()>& done);
  [[nodiscard]] std::optional<std::chrono::nanoseconds> taken_for(std::uint32_t slot,
                                                                  std::int64_t now) const noexcept;

  // The callee's.
  [[nodiscard]] std::optional<std::uint32_t> pop_request();
  [[nodiscard]] bool begin(std::uint32_t slot, TakenCall& out);
  layout::CallId close_request(std::uint32_t slot);
  void reopen_request(std::uint32_t slot, std::uint32_t generation);

  std::shared_ptr<ChannelCore> channel_;
  ForkStamp fork_stamp_;
  std::vector<TypeName> types_;
  std::uint32_t credits_;
  const layout::LinkLimits limits_;  ///< of the other end
  const std::uint64_t stream_window_;
  sync::Turn send_turn_;
#if defined(MEWS_STEPPED)
  static constexpr bool kBeginsWithMany = true;  // the model checker cannot wait by the clock
#else
  static constexpr bool kBeginsWithMany = false;
#endif
  base::LocalAtomic<bool> has_many_senders_{kBeginsWithMany};  ///< two threads have met; a note
  sync::Lead lead_;
  base::LocalAtomic<bool> interrupted_{false};
  base::LocalAtomic<bool> is_loop_waiting_{false};
  base::LocalAtomic<int> loop_event_{-1};        ///< `Loop::own`, once there is one
  base::LocalAtomic<bool> is_end_whole_{false};  ///< all calls have ended
  base::LocalAtomic<bool> is_end_told_{false};   ///< to the loop
  base::LocalAtomic<int> ended_{-1};

  base::LocalAtomic<std::uint64_t> free_;              ///< a bit for each slot of `outgoing_`
  base::LocalAtomic<std::uint32_t> streams_free_;      ///< that this end may open
  base::LocalAtomic<std::uint32_t> streams_there_{0};  ///< that the other end has open
  std::unique_ptr<Outgoing[]> outgoing_;
  std::unique_ptr<Incoming[]> incoming_;

  mutable sync::Mutex mutex_;
  // Mutex:
  std::array<std::uint8_t, layout::kMaxCalls> queue_{};  ///< slots of `incoming_`, in order
  std::uint32_t queue_begin_ = 0;
  struct Ready {
    const void* key;  ///< the call, or the watch of a stream
    std::function<void()> done;
  };
  std::vector<Ready> ready_;                 ///< room for all calls and streams
  std::vector<std::stop_source> stops_due_;  ///< to be asked to stop, once no thread leads
  std::optional<Error> end_;
  /// The channel's descriptor tells of records. What other threads have taken in is told by one of
  /// the link's own: a plugin's channel has none that its own process could signal.
  struct Loop {
    os::UniqueFd poll;
    os::UniqueFd own;
  };
  std::optional<Loop> loop_;
  // Written with the mutex, a hint without.
  base::LocalAtomic<std::uint32_t> queued_{0};
  base::LocalAtomic<bool> has_ready_{false};
  base::LocalAtomic<bool> has_stops_due_{false};
};

}  // namespace mews::inline MEWS_LAYOUT::detail
