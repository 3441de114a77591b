// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mews/base/function_ref.hpp"
#include "mews/base/visible.hpp"
#include "mews/channel.hpp"
#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/loan.hpp"
#include "mews/message.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

namespace detail {
class LinkCore;
class LinkRoot;
struct TakenCall;
}  // namespace detail

class Link;
class Plugin;
class Stream;

/// The payload of a request or a reply: a loan, which is sent without a copy, or bytes or a text,
/// which are copied. An argument only: it refers to what it was made from. On an error a loan is
/// untouched.
class Body {
 public:
  Body() noexcept = default;                    // nothing
  Body(Loan&& loan) noexcept : loan_(&loan) {}  // NOLINT: an argument
  /// From a span, vector or array of bytes.
  template <class Bytes>
  requires std::is_convertible_v<const Bytes&, std::span<const std::byte>> Body(const Bytes& bytes)
  noexcept : bytes_(bytes) {}                                                       // NOLINT
  Body(std::string_view text) noexcept : bytes_(std::as_bytes(std::span(text))) {}  // NOLINT
  Body(const char* text) noexcept : Body(std::string_view(text)) {}                 // NOLINT
  Body(const std::string& text) noexcept : Body(std::string_view(text)) {}          // NOLINT

  /// Null: bytes.
  [[nodiscard]] Loan* loan() const noexcept { return loan_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  Loan* loan_ = nullptr;
  std::span<const std::byte> bytes_;
};

/// A name for a type of request, for texts: "fonts: decompress".
struct TypeName {
  std::uint32_t type;
  std::string name;
};

struct LinkOptions {
  /// Calls that this end may have open at once: started, and not yet answered or the answer not yet
  /// collected. At least 1, at most 64, and at most what the arena's rings hold: 16 for the default
  /// of 1024 cells. Larger numbers count as the most. Up to half of what the rings hold may be
  /// streams; rings of 128 cells hold none.
  std::uint32_t credits = 16;
  /// Bytes of a stream that the other end may have sent and this end has not received, from 1 KiB;
  /// one piece may go beyond it.
  std::size_t stream_window = std::size_t{1} << 20;
  std::vector<TypeName> types = {};
  /// For a link that follows a plugin (`Link::over(plugin)`): a process that has not answered a
  /// call so long after the call's deadline is killed, so that a hang becomes a death. Zero: never.
  std::chrono::nanoseconds kill_after{0};
};

/// What becomes of a call whose process has died, on a link that follows its plugin.
enum class Retry : std::uint8_t {
  never,        ///< `peer_died`, which says whether it was begun
  not_started,  ///< if it was not begun, the next process gets it
  always,       ///< the next process gets it: for what may be carried out twice
};

struct CallOptions {
  std::uint32_t type = 0;  ///< the program's own: what is asked for
  Retry retry = Retry::never;
  /// Room for a reply of so many bytes is claimed here and lent along with the request. So the
  /// other end need not wait for memory to answer, and cannot fail for want of it. 0 to 480: none.
  std::size_t reply_bytes = 0;
};

/// A call that was started. Dropping it cancels the call.
///
/// One thread at a time, not always the same. It keeps the link's inside alive. Empty once `get`
/// has returned, and when moved from: then `invalid_argument`.
class [[nodiscard]] PendingReply {
 public:
  PendingReply() noexcept;
  PendingReply(PendingReply&& other) noexcept;
  PendingReply& operator=(PendingReply&& other) noexcept;
  ~PendingReply();

  /// Blocks until the reply has come, or the call's deadline, or the stop token; the call is over
  /// then. Errors of `Link::call`.
  [[nodiscard]] Result<Message> get(const std::stop_token& stop = {});
  /// Returns whether `get` would return at once, as far as this process knows. Never blocks; looks
  /// at what has come if no other thread does.
  [[nodiscard]] bool is_ready();
  /// Blocks until it is ready. `timed_out`, `cancelled`: the call goes on.
  [[nodiscard]] Result<void> wait(Deadline deadline, const std::stop_token& stop = {});
  /// Calls `done` once, as soon as the reply has come or the other end is gone, in a thread that
  /// calls `Link::dispatch`. Returns false, and does not call it, when it is ready now. In the
  /// thread that dispatches it is not called any more once this object is dropped, or `get` has
  /// returned. The call's deadline is the loop's to keep, by a timer: `get` returns `timed_out`
  /// then. `done` may use the link, and drop it. May throw `std::bad_alloc`.
  [[nodiscard]] bool on_ready(std::function<void()> done);
  /// Gives the call up: the other end is told, and its reply, if any, is dropped. Never blocks. No
  /// effect on an empty one.
  void cancel() noexcept;
  [[nodiscard]] bool is_empty() const noexcept { return core_ == nullptr; }

 private:
  friend class Link;
  /// What a call needs to be made again.
  struct Again;
  PendingReply(std::shared_ptr<detail::LinkCore> core, std::uint32_t slot,
               std::unique_ptr<Again> again) noexcept;
  std::shared_ptr<detail::LinkCore> core_;
  std::uint32_t slot_ = 0;
  std::unique_ptr<Again> again_;
};

/// A call that arrived. It is to be answered by `reply` or `fail`; dropped unanswered, its caller
/// gets `unanswered`.
///
/// One thread at a time, not always the same. It keeps the link's inside alive.
class [[nodiscard]] Request {
 public:
  Request(Request&& other) noexcept;
  Request& operator=(Request&& other) noexcept;
  ~Request();

  [[nodiscard]] std::uint32_t type() const noexcept { return message_.type(); }
  /// Valid as long as the request, and until `into_loan`.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept MEWS_LIFETIMEBOUND {
    return message_.bytes();
  }
  [[nodiscard]] std::string_view text() const noexcept MEWS_LIFETIMEBOUND {
    return message_.text();
  }
  /// As `Message::value`.
  template <class T>
  [[nodiscard]] Result<T> value() const {
    return message_.value<T>();
  }
  /// Returns the moment at which the caller gives up, later by at most 16 us; `forever` when that
  /// is more than 9 hours away.
  [[nodiscard]] Deadline deadline() const noexcept { return deadline_; }
  /// Returns whether nobody waits for the answer any more: the caller has cancelled the call, or is
  /// gone, or the deadline has passed. Looks at what has come if no other thread does. Never
  /// blocks.
  [[nodiscard]] bool is_cancelled();
  /// A token that asks to stop when the call is cancelled or the caller is gone, as soon as a
  /// thread of this process takes note of it: one that waits on the link, or asks `is_cancelled`.
  /// May throw `std::bad_alloc`.
  [[nodiscard]] std::stop_token stop_token();

  /// Returns memory for the reply: what the caller has lent (`CallOptions::reply_bytes`), if it is
  /// enough, and otherwise as `Channel::loan`, which blocks and fails, at most until the call's
  /// deadline.
  [[nodiscard]] Result<Loan> loan(std::size_t bytes);
  [[nodiscard]] Result<Loan> try_loan(std::size_t bytes);
  /// Returns the request's own memory, to write the reply there. `bytes()` is empty then.
  [[nodiscard]] Loan into_loan() noexcept { return std::move(message_).into_loan(); }

  /// Answers the call. Never blocks for room; bytes above 480 are copied into a loan, which blocks
  /// as `loan`. A caller that has given up gets nothing, and that is no error. `peer_died`,
  /// `host_died`, `closed`, `peer_corrupt`, errors of `loan`, `invalid_argument` (answered already,
  /// another session's loan). On an error the request is still unanswered.
  [[nodiscard]] Result<void> reply(Body body = {}, std::uint32_t type = 0);
  /// The caller gets an error with this code, and this text as its detail (its first 480 bytes).
  Result<void> fail(ErrorCode code, std::string_view text = {});
  Result<void> fail(std::string_view text) { return fail(ErrorCode::failed, text); }
  Result<void> fail(const Error& why) { return fail(why.code(), why.detail()); }
  [[nodiscard]] bool is_answered() const noexcept { return core_ == nullptr; }

  /// Whether the caller wants a stream (`Link::open`): then the answer is `accept_stream`, or
  /// `fail`, and `reply` is `invalid_argument`.
  [[nodiscard]] bool is_stream() const noexcept { return is_stream_; }
  /// Takes the stream; the request is answered then. Never blocks. Errors of `reply`,
  /// `invalid_argument` when the caller wants none, `out_of_memory`.
  [[nodiscard]] Result<Stream> accept_stream();

  /// The link on which it came, to call back: its calls without a deadline of their own end with
  /// this request's deadline, if that is the earlier. `invalid_argument` once it is answered.
  [[nodiscard]] Result<Link> link() const;

 private:
  friend class Link;
  Request(std::shared_ptr<detail::LinkCore> core, detail::TakenCall&& call) noexcept;
  void drop() noexcept;
  void let_go() noexcept;
  [[nodiscard]] Result<Loan> loan_by(std::size_t bytes, const detail::Timeout& timeout);
  std::shared_ptr<detail::LinkCore> core_;
  std::uint32_t slot_ = 0;
  bool is_stream_ = false;
  Message message_;
  Message lent_;  ///< for the reply
  Deadline deadline_ = forever;
};

/// Calls over a channel, in both directions at once: each end may call, and answer, at any time.
/// The other end has a link, too.
///
/// Each call has exactly one end: a reply, a failure, or the caller's own `timed_out` or
/// `cancelled`, or the death of the other process. A call that is over for its caller keeps its
/// credit until the other end has answered, because that end may still be at work on it. A reply
/// that comes too late is dropped, and its slab freed.
///
/// Any number of threads, also from inside a handler of a request. There is no thread of the
/// link's own: whoever waits (in `call`, `get`, `accept`, `serve`) takes in what comes, for all
/// threads. So a single-threaded plugin may call back while it answers: requests that come
/// meanwhile wait in a queue.
///
/// Nothing of a link ever waits for room in a lane: the records of all open calls fit it together.
/// A call waits for a credit, and a payload above 480 bytes for a slab; both have deadlines.
///
/// Copyable; all copies are the same link. The channel is closed when the last copy, pending reply
/// and request has gone.
///
/// A moved-from link is empty: each call is `invalid_argument`. In a child forked off the process
/// that made the session: `wrong_process`, and nothing happens.
class Link {
 public:
  /// Takes the channel over. No message was received from it or sent to it, and no shared sender
  /// made. `invalid_argument` (an empty channel, credits of 0, a ring too small: 128 cells are the
  /// least), `already_exists` (it has a link), `out_of_memory`.
  [[nodiscard]] static Result<Link> over(Channel&& channel, LinkOptions options = {});
  /// The same for a host's plugin, and follows it: when its process has died and the next one runs
  /// (`Restart::on_crash`), calls go there, and calls with `CallOptions::retry` that had no end are
  /// made again. Takes over the plugin's channel. The handle stays the caller's, for `stop`, `kill`
  /// and `exit`; do not `renew` it. Keep it as long as the plugin is to be started again.
  [[nodiscard]] static Result<Link> over(Plugin& plugin, LinkOptions options = {});

  /// As `Channel::loan`, for a request.
  [[nodiscard]] Result<Loan> loan(std::size_t bytes);
  [[nodiscard]] Result<Loan> loan(std::size_t bytes, Deadline deadline,
                                  const std::stop_token& stop = {});
  [[nodiscard]] Result<Loan> try_loan(std::size_t bytes);

  /// Calls the other end and blocks until it has answered, or until the deadline; without one, the
  /// session's `default_timeout`. Errors of `start`; those that the other end answers: `failed`,
  /// `unanswered`, or any other code that its program chose; `timed_out`, `cancelled`: the other
  /// end is told, and the answer dropped; `peer_died`, `host_died`, `closed`, `peer_corrupt`. The
  /// error says whether the other end's program had got the call (`Error::was_started`), and names
  /// who was waited for.
  [[nodiscard]] Result<Message> call(Body body, CallOptions options = {});
  [[nodiscard]] Result<Message> call(Body body, CallOptions options, Deadline deadline,
                                     const std::stop_token& stop = {});

  /// On a link that follows its plugin: a call that finds the process dead waits for the next one,
  /// and so does one with `CallOptions::retry` whose process dies meanwhile, until its deadline.
  /// Its payload is kept until then: a loan is copied. When there is no next process, the error
  /// says how the last one died, and why.
  ///
  /// Starts a call, and returns before it is answered. With a retry, `PendingReply::get` makes it
  /// again. Its deadline is the call's. Blocks only
  /// while all credits are in use, and for a slab as `Channel::loan` if it must copy more than 480
  /// bytes. `timed_out` (says which calls are open), `cancelled`, `peer_died`, `host_died`,
  /// `closed`, `peer_corrupt`, `invalid_argument` (an empty or another session's loan).
  /// `try_start`: `would_block` when all credits are in use, `no_slab`.
  [[nodiscard]] Result<PendingReply> start(Body body, CallOptions options = {});
  [[nodiscard]] Result<PendingReply> start(Body body, CallOptions options, Deadline deadline,
                                           const std::stop_token& stop = {});
  [[nodiscard]] Result<PendingReply> try_start(Body body, CallOptions options, Deadline deadline);

  /// Returns the next call of the other end, in the order in which they were started. One whose
  /// deadline has passed or that was cancelled is answered at once, and not returned. Blocks until
  /// there is one. `timed_out`, `cancelled`, `peer_died`, `host_died`, `closed`, `peer_corrupt`,
  /// `out_of_memory`. `try_accept`: `would_block`.
  [[nodiscard]] Result<Request> accept();
  [[nodiscard]] Result<Request> accept(Deadline deadline, const std::stop_token& stop = {});
  [[nodiscard]] Result<Request> try_accept();
  /// Accepts calls and gives each to `handle`, until the other end closes in good order, which is
  /// no error; errors of `accept` otherwise. Any number of threads may serve. `handle` is anything
  /// that can be called with a `Request&`.
  [[nodiscard]] Result<void> serve(base::FunctionRef<void(Request&)> handle, Deadline deadline,
                                   const std::stop_token& stop = {});

  /// Opens a stream: the other end gets a request with `Request::is_stream`. Returns before it is
  /// accepted; what is sent waits for that. Blocks and fails as `start`, also while as many streams
  /// are open as the rings hold (8 with the default of 1024 cells); `retry` and `reply_bytes` have
  /// no meaning here. Include mews/stream.hpp.
  [[nodiscard]] Result<Stream> open(Body body, CallOptions options = {});
  [[nodiscard]] Result<Stream> open(Body body, CallOptions options, Deadline deadline,
                                    const std::stop_token& stop = {});
  [[nodiscard]] Result<Stream> try_open(Body body, CallOptions options = {});

  /// For an event loop, or a wait set, one for each link: takes in what has come, up to 256
  /// records, and calls the functions of `PendingReply::on_ready`. Never blocks. Returns whether
  /// there are calls for `try_accept`. Once the other end is gone: why.
  [[nodiscard]] Result<bool> dispatch();
  /// As `Channel::event_fd`: readable when `dispatch` has something to do, provided `arm_event` was
  /// called since. It belongs to the link, which makes it at the first call; -1 when the system has
  /// none, which `arm_event` tells.
  [[nodiscard]] int event_fd() const noexcept;
  /// Returns false when there is something to do already: then call `dispatch`, and `try_accept`.
  /// Once `dispatch` has told the end: why.
  [[nodiscard]] Result<bool> arm_event();

  /// Of a link that follows its plugin: waits until the process of which `dispatch` or a call has
  /// returned the death is followed by the next one. `event_fd` is another one then: `add` the link
  /// to its wait set anew. Errors of `Plugin::renew`; `invalid_argument` for another link.
  [[nodiscard]] Result<void> renew(Deadline deadline, const std::stop_token& stop = {});

  /// Returns the calls that this end may have open at once.
  [[nodiscard]] std::uint32_t credits() const noexcept;
  /// Returns those that are open now.
  [[nodiscard]] std::uint32_t open_calls() const noexcept;

 private:
  friend class Request;
  friend class WaitSet;
  explicit Link(std::shared_ptr<detail::LinkCore> core) noexcept;
  /// The error of every call of an empty link.
  static Error refusal() noexcept;
  /// The timeout of a call without a deadline.
  [[nodiscard]] detail::Timeout usual() const noexcept;
  /// Calls `use` with the inside of the link, which it keeps alive meanwhile.
  template <class Use>
  auto with_core(Use&& use) const;
  [[nodiscard]] Result<Loan> loan_by(std::size_t bytes, const detail::Timeout& timeout);
  [[nodiscard]] Result<Message> call_by(const Body& body, const CallOptions& options,
                                        const detail::Timeout& timeout);
  [[nodiscard]] Result<PendingReply> start_by(const Body& body, const CallOptions& options,
                                              const detail::Timeout& timeout, bool waits);
  [[nodiscard]] Result<Request> accept_by(const detail::Timeout& timeout);
  [[nodiscard]] Result<Stream> open_by(const Body& body, const CallOptions& options,
                                       const detail::Timeout& timeout);
  std::shared_ptr<detail::LinkCore> core_;  ///< null for a link that follows a plugin
  std::shared_ptr<detail::LinkRoot> root_;  ///< of one that does
  Deadline latest_ = forever;               ///< of calls without a deadline
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
