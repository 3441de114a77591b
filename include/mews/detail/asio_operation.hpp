// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "mews/deadline.hpp"
#include "mews/detail/asio_loop.hpp"
#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR {

/// An operation that ends with a `Result<T>`.
template <class T>
class AsioOutcome : public AsioOperation {
 public:
  using Value = T;
  AsioOutcome(std::shared_ptr<AsioLoop> loop, Deadline deadline)
      : AsioOperation(std::move(loop)), deadline_(deadline) {}

  [[nodiscard]] Deadline deadline() const noexcept { return deadline_; }
  void finish(Result<T> outcome) {
    if (outcome_) return;
    outcome_.emplace(std::move(outcome));
    settle();
  }
  [[nodiscard]] bool is_finished() const noexcept { return outcome_.has_value(); }
  [[nodiscard]] Result<T> take_outcome() { return std::move(*outcome_); }

  void expire() override { abandon(Error(ErrorCode::timed_out)); }
  void cancel() override { abandon(Error(ErrorCode::cancelled)); }
  void abandon(const Error& why) override { finish(tl::unexpected(why)); }

 private:
  Deadline deadline_;
  std::optional<Result<T>> outcome_;
};

/// The call of a handler with its result, to be posted to the handler's executor.
template <class T, class Handler>
struct AsioUpcall {
  using allocator_type = net::associated_allocator_t<Handler>;
  [[nodiscard]] allocator_type get_allocator() const noexcept {
    return net::get_associated_allocator(handler);
  }
  void operator()() { std::move(handler)(std::move(outcome)); }

  Handler handler;
  Result<T> outcome;
};

/// `Base`, an `AsioOutcome`, with the handler that is told the outcome.
template <class Base, class Handler>
class AsioWithHandler final : public Base {
 public:
  using T = typename Base::Value;
  using Executor = net::associated_executor_t<Handler, net::any_io_executor>;
  using Allocator = net::associated_allocator_t<Handler>;

  template <class... Args>
  explicit AsioWithHandler(Handler&& handler, Args&&... args)
      : Base(std::forward<Args>(args)...),
        work_(net::get_associated_executor(handler, this->loop().executor())),
        handler_(std::move(handler)) {}

  /// Any thread. Makes an operation, which begins on the strand.
  template <class... Args>
  static void launch(Handler&& handler, Args&&... args) {
    using Rebound =
        typename std::allocator_traits<Allocator>::template rebind_alloc<AsioWithHandler>;
#if MEWS_ASIO_HAS_CANCELLATION
    auto slot = net::get_associated_cancellation_slot(handler);
#endif
    const Rebound allocator(net::get_associated_allocator(handler));
    auto self = std::allocate_shared<AsioWithHandler>(allocator, std::move(handler),
                                                      std::forward<Args>(args)...);
#if MEWS_ASIO_HAS_CANCELLATION
    if (slot.is_connected()) connect(slot, self->make_hook());
#endif
    const auto strand = self->loop().strand();
    net::post(strand, Begin{std::move(self)});
  }

 private:
  /// A function of the loop's own that keeps the operation, in memory from its allocator.
  struct Own {
    using allocator_type = Allocator;
    [[nodiscard]] allocator_type get_allocator() const noexcept {
      return net::get_associated_allocator(self->handler_);
    }
    std::shared_ptr<AsioWithHandler> self;
  };
  struct Begin : Own {
    explicit Begin(std::shared_ptr<AsioWithHandler> owned) noexcept : Own{std::move(owned)} {}
    void operator()() {
      auto& operation = *this->self;
      operation.timer().expires_at(operation.deadline().at());
      operation.timer().async_wait(End(std::move(this->self)));
      if (operation.loop().is_closed()) {
        operation.cancel();
      } else {
        operation.begin();
        operation.loop().look_soon();
      }
    }
  };
  struct End : Own {
    explicit End(std::shared_ptr<AsioWithHandler> owned) noexcept : Own{std::move(owned)} {}
    void operator()(AsioErrorCode) {
      auto operation = std::move(this->self);
      if (!operation->is_finished()) operation->expire();
      auto work = std::move(operation->work_);
      AsioUpcall<T, Handler> upcall{std::move(operation->handler_), operation->take_outcome()};
      // Its memory is the handler's to use again.
      operation.reset();
      net::post(work.get_executor(), std::move(upcall));
    }
  };

#if MEWS_ASIO_HAS_CANCELLATION
  // Whoever emits is in a thread of the caller's choice.
  template <class Slot>
  static void connect(Slot& slot, std::shared_ptr<AsioOperation::Hook> hook) {
    slot.assign([hook = std::move(hook)](net::cancellation_type_t type) {
      const auto loop = hook->loop.lock();
      if (type == net::cancellation_type::none || !loop) return;
      net::post(loop->strand(), [hook] {
        if (hook->operation != nullptr) hook->operation->cancel();
      });
    });
  }
#endif

  net::executor_work_guard<Executor> work_;
  Handler handler_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR
