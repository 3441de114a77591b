// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <stop_token>
#include <string_view>

#include "mews/base/function_ref.hpp"
#include "mews/base/inline.hpp"
#include "mews/base/visible.hpp"
#include "mews/deadline.hpp"
#include "mews/detail/channel_fast.hpp"
#include "mews/error.hpp"
#include "mews/loan.hpp"
#include "mews/message.hpp"
#include "mews/options.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

class SharedSender;

/// Any callable for a message in place; see `Channel::receive_batch`.
using VisitRef = base::FunctionRef<void(const MessageView&)>;

/// One end of a pair of lanes between the host and one plugin.
///
/// Threads: one thread may send while another receives. A second thread that sends (or receives)
/// at the same moment gets `concurrent_use`, and nothing happens; one after the other is fine.
/// `shared()` gives a sender for any number of threads. `loan` may be called by any thread.
///
/// Deadlines: calls without one use the session's `default_timeout`. A `try_` call never blocks.
///
/// Stop tokens: a call that waits returns `cancelled` as soon as any thread asks its token to stop;
/// as with every other error nothing has changed then. With a token that is stopped already the
/// call looks once. A call that need not wait does not look at its token. The request itself costs
/// a system call for each wait that it ends.
///
/// In a child forked off the process that made the session: `wrong_process`, and nothing happens.
/// `event_fd` is of no use there.
///
/// Death: when the other process is gone, blocked calls return at once. Its published messages are
/// still received, in order; then `receive` says `peer_died`, and how (`host_died` in a plugin).
///
/// Leaving: when the other end ends in good order (its session, or the host's last handle on this
/// channel: plugin, channel moved out, shared sender), sending is `closed` at once, with room or
/// without, and receiving is `closed` once everything was received.
///
/// Progress: lock-free while a call need not wait. System calls are made only to wake a sleeper,
/// for memory that is still untouched, and when another thread than before sends (or receives).
///
/// Cheap to move. A moved-from channel is empty, like a host's own (`Session::channel`): each call
/// is `invalid_argument`, and `event_fd` -1.
class Channel {
 public:
  Channel(Channel&&) noexcept;
  Channel& operator=(Channel&&) noexcept;
  ~Channel();

  /// Returns memory for a message of `bytes`, 0 included. Blocks while every slab that may serve it
  /// is in use; `timed_out` then names the holders. `payload_too_large` when no state of this arena
  /// could hold it; `out_of_memory`; `host_died` in a plugin that would wait. `try_loan`: `no_slab`
  /// instead of waiting.
  [[nodiscard]] MEWS_HOT Result<Loan> loan(std::size_t bytes) {
    return loan_by(bytes, detail::Timeout::usual());
  }
  [[nodiscard]] Result<Loan> loan(std::size_t bytes, Deadline deadline,
                                  const std::stop_token& stop = {}) {
    return loan_by(bytes, {deadline, stop});
  }
  [[nodiscard]] MEWS_HOT Result<Loan> try_loan(std::size_t bytes) {
    return loan_by(bytes, detail::Timeout::none());
  }
  /// The same at a multiple of `alignment`, a power of two up to 4096, here and, for more than 480
  /// bytes or an alignment above 64, at the receiver; without it, 64. If a slab of the payload's
  /// size has less alignment, a larger slab serves. `invalid_argument` for another number, or one
  /// above the size of the arena's largest slabs.
  [[nodiscard]] Result<Loan> loan(std::size_t bytes, std::size_t alignment);
  [[nodiscard]] Result<Loan> loan(std::size_t bytes, std::size_t alignment, Deadline deadline,
                                  const std::stop_token& stop = {});
  [[nodiscard]] Result<Loan> try_loan(std::size_t bytes, std::size_t alignment);

  /// Sends a loan of this session; no byte is copied above 480. Blocks while the lane is full, or
  /// its window of slabs used up (`LocalOptions::window_bytes`); `timed_out` then names the peer
  /// that does not read. `peer_died`, `host_died`, `closed`, `peer_corrupt`, `concurrent_use`,
  /// `invalid_argument` (an empty loan, or another session's). On success the loan is empty; on
  /// every error it is untouched, to be sent again, elsewhere, or dropped. (Only when the other
  /// process dies during the call its memory may have been reclaimed with that process's: then the
  /// loan is empty too.) `try_send`: `would_block` instead of waiting.
  [[nodiscard]] MEWS_HOT Result<void> send(Loan&& loan, Envelope envelope = {}) {
    return send_by(loan, envelope, detail::Timeout::usual());
  }
  [[nodiscard]] Result<void> send(Loan&& loan, Envelope envelope, Deadline deadline,
                                  const std::stop_token& stop = {}) {
    return send_by(loan, envelope, {deadline, stop});
  }
  [[nodiscard]] MEWS_HOT Result<void> try_send(Loan&& loan, Envelope envelope = {}) {
    return send_by(loan, envelope, detail::Timeout::none());
  }

  /// Copies `bytes` (any size) and sends them; blocks and fails as `loan` (above 480 bytes), then
  /// as `send` above, with one deadline for both. `try_send`: `no_slab` or `would_block` instead of
  /// waiting. Send a message that is in a loan as a loan: `send(loan.bytes())` copies it.
  [[nodiscard]] MEWS_HOT Result<void> send(std::span<const std::byte> bytes,
                                           Envelope envelope = {}) {
    return send_by(bytes, envelope, detail::Timeout::usual());
  }
  [[nodiscard]] Result<void> send(std::span<const std::byte> bytes, Envelope envelope,
                                  Deadline deadline, const std::stop_token& stop = {}) {
    return send_by(bytes, envelope, {deadline, stop});
  }
  [[nodiscard]] MEWS_HOT Result<void> try_send(std::span<const std::byte> bytes,
                                               Envelope envelope = {}) {
    return send_by(bytes, envelope, detail::Timeout::none());
  }
  /// The same with the characters of a text, without a final zero.
  [[nodiscard]] MEWS_HOT Result<void> send(std::string_view text, Envelope envelope = {}) {
    return send(std::as_bytes(std::span(text)), envelope);
  }
  [[nodiscard]] Result<void> send(std::string_view text, Envelope envelope, Deadline deadline,
                                  const std::stop_token& stop = {}) {
    return send(std::as_bytes(std::span(text)), envelope, deadline, stop);
  }
  [[nodiscard]] MEWS_HOT Result<void> try_send(std::string_view text, Envelope envelope = {}) {
    return try_send(std::as_bytes(std::span(text)), envelope);
  }

  /// Sends several loans with one publication: the receiver sees them all at once. Returns the
  /// number sent, from the front: fewer than all when the lane is full or the channel has ended
  /// (then these are empty, the others untouched, and the next call returns the reason). An error
  /// when not even the first could be sent; `would_block` for a full lane. Never blocks.
  [[nodiscard]] Result<std::size_t> try_send_batch(std::span<Loan> loans, Envelope envelope = {});

  /// Returns the next message. Blocks until there is one; `timed_out`, `peer_died`, `host_died`,
  /// `closed` (the other end closed it in good order and everything was received),
  /// `peer_corrupt` (no correct peer writes such a record; the channel stays so),
  /// `concurrent_use`, `out_of_memory` (of this process, for a small message). `try_receive`:
  /// `would_block` instead of waiting. On an error nothing was received, and nothing is lost.
  [[nodiscard]] MEWS_HOT Result<Message> receive() { return receive_by(detail::Timeout::usual()); }
  [[nodiscard]] MEWS_HOT Result<Message> receive(Deadline deadline,
                                                 const std::stop_token& stop = {}) {
    return receive_by({deadline, stop});
  }
  [[nodiscard]] MEWS_HOT Result<Message> try_receive() {
    return receive_by(detail::Timeout::none());
  }

  /// Lends up to `limit` waiting messages to `visit` in place, in order, and frees each behind it.
  /// `visit` is anything that can be called with a `const MessageView&`, also mutable or move-only.
  /// Blocks until there is at least one; returns the number visited. Errors of `receive`, and
  /// `invalid_argument` for a limit of 0. Within a visit this end cannot receive
  /// (`concurrent_use`), but it can send. A visit must not throw. `try_receive_batch`:
  /// `would_block` instead of waiting.
  [[nodiscard]] Result<std::size_t> receive_batch(VisitRef visit, std::size_t limit);
  [[nodiscard]] Result<std::size_t> receive_batch(VisitRef visit, std::size_t limit,
                                                  Deadline deadline,
                                                  const std::stop_token& stop = {});
  [[nodiscard]] Result<std::size_t> try_receive_batch(VisitRef visit, std::size_t limit);

  /// Returns a sender for any number of threads of this process, which send in turn by a mutex. It
  /// keeps the channel's inside alive. From then on send only through it, or get `concurrent_use`.
  /// Wait-free.
  [[nodiscard]] SharedSender shared();

  /// Tells the other end that nothing follows; it receives the earlier messages, then `closed`.
  /// Sending here is `closed` from now on, receiving goes on. Never blocks; again: no effect.
  /// `concurrent_use` while another thread sends: then nothing has happened. No error when the
  /// other end is gone.
  [[nodiscard]] Result<void> close();

  /// For an event loop: poll this descriptor for reading. It becomes readable when a message can
  /// be received or the channel has ended, provided `arm_event` was called since. It belongs to the
  /// channel and lives as long; do not read from it or close it. Any thread. While one of a host's
  /// is armed, its watcher looks once a second whether the event was withheld (with
  /// `Watcher::none`: `Session::watch_fd` becomes readable for that). So it may become readable,
  /// once a second at most, with nothing to receive.
  [[nodiscard]] int event_fd() const noexcept;
  /// Arms `event_fd`. Returns false when there is something to receive already (or the end): then
  /// receive first. The receiving thread calls it before each poll; for a channel that is armed
  /// still it costs a look. Never blocks, but now and then lets other threads have the processor if
  /// they want it (not with a `spin_limit` of zero). `concurrent_use`, `os_error` (membarrier has
  /// been forbidden to this process since it joined).
  ///
  /// With many channels, receive from all of them in rounds while anything comes; after a round, or
  /// some microseconds of rounds, without a message arm them all, and poll. A plugin that finds its
  /// channel armed makes a system call for its message, so arm only before a sleep.
  [[nodiscard]] Result<bool> arm_event();

 private:
  friend class Link;
  friend class Plugin;
  friend class Session;
  friend class WaitSet;
  explicit Channel(std::shared_ptr<detail::ChannelCore> core) noexcept;

  /// The error of every call of an empty channel.
  [[gnu::cold]] static Error refusal() noexcept;
  // One named result, made in the caller's place: nothing is moved.
  MEWS_HOT Result<Loan> loan_by(std::size_t bytes, detail::Timeout timeout) {
    Result<Loan> loan;
    if (core_ == nullptr) [[unlikely]] {
      loan = tl::unexpected<Error>(refusal());
    } else {
      core_->loan(loan, bytes, timeout);
    }
    return loan;
  }
  template <class Payload>
  MEWS_HOT Result<void> send_by(Payload& payload, Envelope envelope, detail::Timeout timeout) {
    if (core_ == nullptr) [[unlikely]]
      return tl::unexpected<Error>(refusal());
    return core_->send(payload, envelope, timeout);
  }
  MEWS_HOT Result<Message> receive_by(detail::Timeout timeout) {
    Result<Message> message;
    if (core_ == nullptr) [[unlikely]] {
      message = tl::unexpected<Error>(refusal());
    } else {
      core_->receive(message, timeout);
    }
    return message;
  }

  std::shared_ptr<detail::ChannelCore> core_;
};

/// Sends on a channel from any number of threads; see `Channel::shared`. Copyable; all copies take
/// turns with each other. A moved-from one is empty, like one of an empty channel: each call is
/// `invalid_argument`.
///
/// It may outlive its channel and plugin handle. When the handle is dropped the channel is closed,
/// at once or, if a thread is sending then, when the last sender is dropped; a later send is
/// `closed`.
class SharedSender {
 public:
  /// As `Channel::loan`: needs no turn, and does not delay others' turns.
  [[nodiscard]] Result<Loan> loan(std::size_t bytes);
  [[nodiscard]] Result<Loan> loan(std::size_t bytes, Deadline deadline,
                                  const std::stop_token& stop = {});
  [[nodiscard]] Result<Loan> try_loan(std::size_t bytes);
  [[nodiscard]] Result<Loan> loan(std::size_t bytes, std::size_t alignment);
  [[nodiscard]] Result<Loan> loan(std::size_t bytes, std::size_t alignment, Deadline deadline,
                                  const std::stop_token& stop = {});
  [[nodiscard]] Result<Loan> try_loan(std::size_t bytes, std::size_t alignment);

  /// As `Channel::send`, one thread after the other. Blocks for its turn, by a mutex, and then as
  /// `Channel::send`; a thread that waits for room or for a slab keeps its turn meanwhile. One
  /// deadline for all of it: `timed_out` says what did not come. `concurrent_use` only when a
  /// thread sends by the channel itself. A stop token ends either wait. A death of the other end
  /// ends the wait of the thread whose turn it is, and then that of each behind it. `try_send` and
  /// `try_send_batch`: `would_block` also while another thread has its turn.
  [[nodiscard]] Result<void> send(Loan&& loan, Envelope envelope = {});
  [[nodiscard]] Result<void> send(Loan&& loan, Envelope envelope, Deadline deadline,
                                  const std::stop_token& stop = {});
  [[nodiscard]] Result<void> try_send(Loan&& loan, Envelope envelope = {});
  [[nodiscard]] Result<void> send(std::span<const std::byte> bytes, Envelope envelope = {});
  [[nodiscard]] Result<void> send(std::span<const std::byte> bytes, Envelope envelope,
                                  Deadline deadline, const std::stop_token& stop = {});
  [[nodiscard]] Result<void> try_send(std::span<const std::byte> bytes, Envelope envelope = {});
  [[nodiscard]] Result<void> send(std::string_view text, Envelope envelope = {}) {
    return send(std::as_bytes(std::span(text)), envelope);
  }
  [[nodiscard]] Result<void> send(std::string_view text, Envelope envelope, Deadline deadline,
                                  const std::stop_token& stop = {}) {
    return send(std::as_bytes(std::span(text)), envelope, deadline, stop);
  }
  [[nodiscard]] Result<void> try_send(std::string_view text, Envelope envelope = {}) {
    return try_send(std::as_bytes(std::span(text)), envelope);
  }
  [[nodiscard]] Result<std::size_t> try_send_batch(std::span<Loan> loans, Envelope envelope = {});

 private:
  friend class Channel;
  explicit SharedSender(std::shared_ptr<detail::ChannelCore> core) noexcept;
  std::shared_ptr<detail::ChannelCore> core_;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
