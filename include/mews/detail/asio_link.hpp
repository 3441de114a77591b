// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

#include "mews/detail/asio_operation.hpp"
#include "mews/link.hpp"

namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR {

/// A request's payload, owned until it is sent.
struct AsioBody {
  /// Copies what is not a loan: into a loan if there is memory for one, which is then not copied
  /// again.
  AsioBody(Link& link, const Body& body) {
    if (body.loan() != nullptr) {
      loan = std::move(*body.loan());
      is_loan = true;
    } else if (auto made = link.try_loan(body.bytes().size()); made) {
      std::copy_n(body.bytes().data(), body.bytes().size(), made->bytes().data());
      loan = std::move(*made);
      is_loan = true;
    } else {
      bytes.assign(body.bytes().begin(), body.bytes().end());
    }
  }
  [[nodiscard]] Body body() { return is_loan ? Body(std::move(loan)) : Body(bytes); }

  Loan loan;
  std::vector<std::byte> bytes;
  bool is_loan = false;
};

class AsioCall;
class AsioAccept;

/// A link in an event loop of Asio.
class AsioLinkLoop final : public AsioLoop {
 public:
  AsioLinkLoop(const net::any_io_executor& executor, Link link)
      : AsioLoop(executor), link_(std::move(link)), retry_(strand()) {}

  [[nodiscard]] Link& link() noexcept { return link_; }
  /// The operations of each kind, in the order in which they began.
  AsioOperation::List queued;   ///< calls that wait for a credit or a slab
  AsioOperation::List started;  ///< calls that wait for their reply
  AsioOperation::List accepts;

 private:
  void take_in() override;
  [[nodiscard]] Result<bool> arm() override;
  [[nodiscard]] int event_fd() const override { return link_.event_fd(); }
  [[nodiscard]] bool has_operations() const noexcept override {
    return !queued.empty() || !started.empty() || !accepts.empty();
  }
  void cancel_all() override {
    for (auto* list : {&queued, &started, &accepts})
      for_each(*list, [](AsioOperation& operation) { operation.cancel(); });
  }
  void abandon_all(const Error& why) override {
    for (auto* list : {&queued, &started, &accepts})
      for_each(*list, [&why](AsioOperation& operation) { operation.abandon(why); });
  }
  void rest() override { retry_.cancel(); }

  void finish_started(const Error* why);
  void start_queued();
  void serve_accepts();
  [[nodiscard]] Result<Request> next_request();
  void retry_later();

  /// Nothing tells when another thread gives a credit or a slab back.
  static constexpr std::chrono::milliseconds kRetryAfter{5};

  Link link_;
  std::deque<Request> taken_;  ///< requests that came while none was asked for
  net::steady_timer retry_;
  bool is_retry_due_ = false;
};

/// A call that has not ended.
class AsioCall : public AsioOutcome<Message> {
 public:
  AsioCall(const std::shared_ptr<AsioLinkLoop>& loop, AsioBody body, CallOptions options,
           Deadline deadline)
      : AsioOutcome(loop, deadline), links_(*loop), body_(std::move(body)), options_(options) {}

  void begin() override {
    // Not before those that wait already.
    if (!links_.queued.empty() || !start()) enter(links_.queued);
  }
  /// Returns false while it must wait for a credit or a slab.
  [[nodiscard]] bool start();
  /// Ends it if it is over; also for `why`, if there is one.
  void finish_if_ready(const Error* why) {
    if (pending_.is_ready()) {
      finish(pending_.get());
    } else if (why != nullptr) {
      abandon(*why);
    }
  }

  void expire() override;
  void cancel() override {
    if (is_finished()) return;
    if (pending_.is_empty()) {
      finish(mews::fail(ErrorCode::cancelled, "this call was not sent"));
    } else {
      std::stop_source stopped;
      stopped.request_stop();
      finish(pending_.get(stopped.get_token()));
    }
  }
  void abandon(const Error& why) override {
    if (is_finished()) return;
    pending_.cancel();
    finish(tl::unexpected(why));
  }

 private:
  AsioLinkLoop& links_;
  AsioBody body_;
  CallOptions options_;
  PendingReply pending_;
};

/// A wait for a request.
class AsioAccept : public AsioOutcome<Request> {
 public:
  AsioAccept(const std::shared_ptr<AsioLinkLoop>& loop, Deadline deadline)
      : AsioOutcome(loop, deadline), links_(*loop) {}
  void begin() override { enter(links_.accepts); }

 private:
  AsioLinkLoop& links_;
};

inline bool AsioCall::start() {
  if (options_.retry != Retry::never) {
    finish(mews::fail(ErrorCode::invalid_argument,
                      "an asynchronous call is not made again: its retry must be `never`"));
    return true;
  }
  auto begun = links_.link().try_start(body_.body(), options_, deadline());
  if (!begun) {
    const auto code = begun.error().code();
    if (code == ErrorCode::would_block || code == ErrorCode::no_slab) return false;
    finish(tl::unexpected(std::move(begun.error())));
    return true;
  }
  pending_ = std::move(*begun);
  enter(links_.started);
  // Another thread may dispatch, too, while this one drops the reply.
  const bool waits = pending_.on_ready([weak = weak_from_this()] {
    if (auto self = weak.lock()) {
      const auto strand = self->loop().strand();
      net::dispatch(strand, [self = std::move(self)] {
        auto& call = static_cast<AsioCall&>(*self);
        if (!call.is_finished()) call.finish(call.pending_.get());
      });
    }
  });
  if (!waits) finish(pending_.get());
  return true;
}

inline void AsioCall::expire() {
  // The deadline has passed, so neither waits; each says what was waited for.
  if (pending_.is_empty()) {
    auto begun = links_.link().start(body_.body(), options_, deadline());
    if (!begun) {
      finish(tl::unexpected(std::move(begun.error())));
      return;
    }
    pending_ = std::move(*begun);
  }
  finish(pending_.get());
}

inline void AsioLinkLoop::take_in() {
  const bool has_moved = has_other_fd();
  const auto dispatched = link_.dispatch();
  if (!dispatched || has_moved) {
    // The link has ended, or goes on with its plugin's next process, with another descriptor.
    finish_started(dispatched ? nullptr : &dispatched.error());
    forget_fd();
  }
  start_queued();
  serve_accepts();
}

inline void AsioLinkLoop::finish_started(const Error* why) {
  for_each(started, [why](AsioOperation& operation) {
    static_cast<AsioCall&>(operation).finish_if_ready(why);
  });
}

inline void AsioLinkLoop::start_queued() {
  while (!queued.empty()) {
    if (!static_cast<AsioCall&>(*queued.front()).start()) break;
  }
  if (!queued.empty()) retry_later();
}

inline void AsioLinkLoop::retry_later() {
  if (is_retry_due_) return;
  is_retry_due_ = true;
  retry_.expires_after(kRetryAfter);
  retry_.async_wait([weak = weak_from_this()](AsioErrorCode) {
    const auto self = std::static_pointer_cast<AsioLinkLoop>(weak.lock());
    if (!self) return;
    self->is_retry_due_ = false;
    if (!self->queued.empty()) self->look();
  });
}

inline Result<Request> AsioLinkLoop::next_request() {
  while (!taken_.empty()) {
    auto request = std::move(taken_.front());
    taken_.pop_front();
    if (!request.is_cancelled()) return request;
  }
  return link_.try_accept();
}

inline void AsioLinkLoop::serve_accepts() {
  while (!accepts.empty()) {
    auto request = next_request();
    if (!request && request.error().code() == ErrorCode::would_block) return;
    static_cast<AsioAccept&>(*accepts.front()).finish(std::move(request));
  }
}

inline Result<bool> AsioLinkLoop::arm() {
  auto armed = link_.arm_event();
  if (!armed || *armed || !accepts.empty()) return armed;
  // A link cannot be armed while requests wait in it, and nobody may ever ask for them.
  while (auto request = link_.try_accept())
    taken_.push_back(std::move(*request));
  return armed;
}

}  // namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR
