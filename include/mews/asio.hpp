// SPDX-License-Identifier: MIT
#pragma once

/// Links and channels in an event loop of Asio. Not part of `mews/mews.hpp`; a program that does
/// not include it needs no Asio.
///
/// It is for standalone Asio (1.18 or newer) and for Boost.Asio (1.74 or newer), and header-only as
/// they are. Boost.Asio is used if it is installed, unless `ASIO_STANDALONE` is defined.
/// `MEWS_ASIO_STANDALONE` or `MEWS_ASIO_BOOST`, defined before this header is included, chooses
/// explicitly. One program may use both, in different sources.
#include <memory>
#include <type_traits>
#include <utility>

#include "mews/channel.hpp"
#include "mews/deadline.hpp"
#include "mews/detail/asio_channel.hpp"
#include "mews/detail/asio_link.hpp"
#include "mews/error.hpp"
#include "mews/link.hpp"

namespace mews::inline MEWS_LAYOUT::inline MEWS_ASIO_FLAVOUR {

/// Calls and requests of a link as asynchronous operations.
///
/// Each takes a completion token: a callback, `use_future`, `use_awaitable`, ... Its handler is
/// called once, with a `Result`, through its associated executor; the link's executor unless it has
/// one. It is never called inside the function that began the operation. Its associated allocator
/// gives the operation's memory. Where Asio has cancellation slots (1.20, Boost 1.77), each type of
/// cancellation ends the operation with `cancelled`.
///
/// Threads: any number may begin operations and run the context; the link's own work is on a
/// strand, and handlers run outside of it. The link may be used directly meanwhile, too; but only
/// this class calls `dispatch` and `arm_event`.
///
/// Destroying this object ends its operations with `cancelled`. Destroying the execution context
/// destroys them: their handlers are not called, their calls are cancelled. Destroy this object
/// before the context, or let an operation's handler own it.
///
/// Death: all operations end with `peer_died` (in a plugin `host_died`); calls as
/// `Link::call` says. A link that follows its plugin (`Link::over(plugin)`) goes on: once
/// `Link::renew` has returned, new operations go to the next process. `renew` blocks, so call it,
/// with a copy of the link, in a thread of its own. Until then operations end with `peer_died` at
/// once.
class AsyncLink {
 public:
  /// Never blocks. An error of the descriptor (`Link::event_fd`) is told by the operations.
  AsyncLink(const detail::net::any_io_executor& executor, Link link)
      : loop_(std::make_shared<detail::AsioLinkLoop>(executor, std::move(link))) {}
  AsyncLink(AsyncLink&&) noexcept = default;
  AsyncLink& operator=(AsyncLink&& other) noexcept {
    if (this != &other) {
      if (loop_) loop_->close();
      loop_ = std::move(other.loop_);
    }
    return *this;
  }
  ~AsyncLink() {
    if (loop_) loop_->close();
  }

  /// Calls the other end; the signature is `void(Result<Message>)`. Never blocks: a call that finds
  /// no credit or no slab waits, before those that begin later. The payload is taken or copied
  /// before this returns: it may throw `std::bad_alloc`. The call is sent later, on the strand.
  /// Errors of `Link::call`; `cancelled`: the other end is told. `invalid_argument` for a
  /// `CallOptions::retry`, whose wait for the next process would block the loop.
  template <class Token>
  auto async_call(Body body, CallOptions options, Deadline deadline, Token&& token) {
    return detail::net::async_initiate<Token, void(Result<Message>)>(
        [](auto&& handler, const std::shared_ptr<detail::AsioLinkLoop>& loop,
           detail::AsioBody payload, CallOptions chosen, Deadline until) {
          using Handler = std::decay_t<decltype(handler)>;
          detail::AsioWithHandler<detail::AsioCall, Handler>::launch(
              Handler(std::forward<decltype(handler)>(handler)), loop, std::move(payload), chosen,
              until);
        },
        token, loop_, detail::AsioBody(loop_->link(), body), options, deadline);
  }

  /// Waits for a call of the other end; the signature is `void(Result<Request>)`. Requests go to
  /// the operations in the order in which both began. Errors of `Link::accept`. While a call waits
  /// and nothing accepts, requests that come are taken, and kept for the next operation; then their
  /// callers are told that they were begun.
  template <class Token>
  auto async_accept(Deadline deadline, Token&& token) {
    return detail::net::async_initiate<Token, void(Result<Request>)>(
        [](auto&& handler, const std::shared_ptr<detail::AsioLinkLoop>& loop, Deadline until) {
          using Handler = std::decay_t<decltype(handler)>;
          detail::AsioWithHandler<detail::AsioAccept, Handler>::launch(
              Handler(std::forward<decltype(handler)>(handler)), loop, until);
        },
        token, loop_, deadline);
  }
  template <class Token>
  auto async_accept(Token&& token) {
    return async_accept(forever, std::forward<Token>(token));
  }

  /// Ends all operations that have begun, with `cancelled`. Any thread; never blocks.
  void cancel() { loop_->cancel(); }
  [[nodiscard]] const detail::net::any_io_executor& get_executor() const noexcept {
    return loop_->executor();
  }
  /// Returns the link, for its functions that do not block: `loan` and `try_loan`, `credits`, ...
  [[nodiscard]] Link& link() noexcept { return loop_->link(); }

 private:
  std::shared_ptr<detail::AsioLinkLoop> loop_;
};

/// Receiving from a channel as asynchronous operations. All of `AsyncLink` holds here, too, but
/// nothing else may receive from the channel.
class AsyncChannel {
 public:
  /// Takes the channel over. Never blocks.
  AsyncChannel(const detail::net::any_io_executor& executor, Channel&& channel)
      : loop_(std::make_shared<detail::AsioChannelLoop>(executor, std::move(channel))) {}
  AsyncChannel(AsyncChannel&&) noexcept = default;
  AsyncChannel& operator=(AsyncChannel&& other) noexcept {
    if (this != &other) {
      if (loop_) loop_->close();
      loop_ = std::move(other.loop_);
    }
    return *this;
  }
  ~AsyncChannel() {
    if (loop_) loop_->close();
  }

  /// Waits for the next message; the signature is `void(Result<Message>)`. Messages go to the
  /// operations in the order in which both began. Errors of `Channel::receive`.
  template <class Token>
  auto async_receive(Deadline deadline, Token&& token) {
    return detail::net::async_initiate<Token, void(Result<Message>)>(
        [](auto&& handler, const std::shared_ptr<detail::AsioChannelLoop>& loop, Deadline until) {
          using Handler = std::decay_t<decltype(handler)>;
          detail::AsioWithHandler<detail::AsioReceive, Handler>::launch(
              Handler(std::forward<decltype(handler)>(handler)), loop, until);
        },
        token, loop_, deadline);
  }
  template <class Token>
  auto async_receive(Token&& token) {
    return async_receive(forever, std::forward<Token>(token));
  }

  /// Ends all operations that have begun, with `cancelled`. Any thread; never blocks.
  void cancel() { loop_->cancel(); }
  [[nodiscard]] const detail::net::any_io_executor& get_executor() const noexcept {
    return loop_->executor();
  }
  /// Returns the channel, to send.
  [[nodiscard]] Channel& channel() noexcept { return loop_->channel(); }

 private:
  std::shared_ptr<detail::AsioChannelLoop> loop_;
};

}  // namespace mews::inline MEWS_LAYOUT::inline MEWS_ASIO_FLAVOUR
