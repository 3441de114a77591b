// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>

#include "mews/base/visible.hpp"
#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/link.hpp"
#include "mews/loan.hpp"
#include "mews/message.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

namespace detail {
struct StreamEnd;
}  // namespace detail

/// One end of a stream on a link: data both ways at once, each way in its order, in pieces. Made by
/// `Link::open` at one end and `Request::accept_stream` at the other.
///
/// A piece is a message of any size but none; a loan travels without a copy. The other end may have
/// 6 pieces that it has not received, or as many as fill its window (`LinkOptions::stream_window`):
/// then sending waits. So a slow reader of one stream delays no call and no other stream, and what
/// a stream may hold of the arena is a window and the piece that has filled it.
///
/// Each way ends by `finish`: the other end receives all pieces, and then an empty message. Once
/// both ways have ended, the stream is over in good order. Before that `reset`, or dropping the
/// stream, ends both ways at once: the other end receives the pieces that have come, then the error
/// `reset`. The death of the other process does the same with `peer_died` (`host_died` in a
/// plugin), and says how.
///
/// A stream is a call that stays open: it uses one of the link's credits until both ends have
/// dropped it. It shares no deadline with the call that opened it.
///
/// Threads: one may send while another receives; more than one of either is safe, and their pieces
/// come in some order. `reset` any thread. It keeps the link's inside alive, and like the link has
/// no thread of its own: whoever waits takes in what comes, for all.
///
/// A moved-from stream is empty: each call is `invalid_argument`. In a child forked off the process
/// that made the session: `wrong_process`.
class [[nodiscard]] Stream {
 public:
  Stream() noexcept;
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  ~Stream();

  /// Returns memory for a piece. As `Channel::loan`; more than 32 bytes are in the arena.
  [[nodiscard]] Result<Loan> loan(std::size_t bytes);
  [[nodiscard]] Result<Loan> loan(std::size_t bytes, Deadline deadline,
                                  const std::stop_token& stop = {});
  [[nodiscard]] Result<Loan> try_loan(std::size_t bytes);

  /// Sends a piece, whole or not at all; an empty one is not sent. A loan is sent without a copy,
  /// except one of 33 to 480 bytes that another `loan` than this stream's has made. Blocks until
  /// the other end has accepted the stream, and while it has enough to receive; then for a slab,
  /// where bytes must be copied. `timed_out` says what it has not received; `cancelled`;
  /// `invalid_argument` after `finish`; `reset`, or the code with which the other end ended it;
  /// `peer_died`, `host_died`, `closed`, `peer_corrupt`; errors of `loan`. On an error a loan is
  /// untouched. `try_send`: `would_block` or `no_slab` instead of waiting. (A wait for a slab goes
  /// on when the stream is reset, until its deadline.)
  [[nodiscard]] Result<void> send(Body piece);
  [[nodiscard]] Result<void> send(Body piece, Deadline deadline, const std::stop_token& stop = {});
  [[nodiscard]] Result<void> try_send(Body piece);
  /// Tells the other end that nothing follows. Never blocks. Again: no effect. The errors of
  /// `send` that end a stream.
  [[nodiscard]] Result<void> finish();

  /// Returns the next piece; after the last one an empty message, each time. Blocks until there is
  /// one. `timed_out`, `cancelled`, and what ends a stream, as `send`. `try_receive`:
  /// `would_block`.
  [[nodiscard]] Result<Message> receive();
  [[nodiscard]] Result<Message> receive(Deadline deadline, const std::stop_token& stop = {});
  [[nodiscard]] Result<Message> try_receive();

  /// Ends both ways. The other end gets an error with this code. No effect once it is over, or when
  /// done before. Never blocks; ends the waits of other threads of this end.
  void reset(ErrorCode code = ErrorCode::reset) noexcept;

  /// Blocks until the other end has accepted the stream. The code with which it has refused it.
  [[nodiscard]] Result<void> wait_accepted(Deadline deadline, const std::stop_token& stop = {});
  /// Blocks until both ends have finished; then it may be dropped and nothing is lost. What else
  /// ends a stream, as `send`.
  [[nodiscard]] Result<void> wait_over(Deadline deadline, const std::stop_token& stop = {});

  /// For an event loop: calls `done` once, in a thread that calls `Link::dispatch`, as soon as
  /// `receive` (`send`, `wait_over`) would not wait for the other end. Returns false, and does not
  /// call it, when that is so now. One function each: another one takes its place. In the thread
  /// that dispatches it is not called any more once this object is dropped. `done` may use the link
  /// and drop the stream. May throw `std::bad_alloc`.
  [[nodiscard]] bool on_readable(std::function<void()> done);
  [[nodiscard]] bool on_writable(std::function<void()> done);
  [[nodiscard]] bool on_over(std::function<void()> done);

  /// The type with which it was opened.
  [[nodiscard]] std::uint32_t type() const noexcept;
  [[nodiscard]] bool is_empty() const noexcept { return core_ == nullptr; }

 private:
  friend class Link;
  friend class Request;
  Stream(std::shared_ptr<detail::LinkCore> core, std::shared_ptr<detail::StreamEnd> end) noexcept;
  [[nodiscard]] Result<Loan> loan_by(std::size_t bytes, const detail::Timeout& timeout);
  [[nodiscard]] Result<void> send_by(const Body& piece, const detail::Timeout& timeout);
  [[nodiscard]] Result<Message> receive_by(const detail::Timeout& timeout);
  std::shared_ptr<detail::LinkCore> core_;
  std::shared_ptr<detail::StreamEnd> end_;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
