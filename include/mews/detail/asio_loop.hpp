// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <list>
#include <memory>
#include <utility>

#include "mews/detail/asio_api.hpp"
#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR {

class AsioLoop;

/// An operation that has not called its handler yet. Once it was begun it belongs to the wait for
/// its timer, that is, to the execution context: destroying that destroys it, and no cycle keeps it
/// alive, even if its handler owns what it waits on.
///
/// All on the loop's strand, except the constructor and the destructor.
class AsioOperation : public std::enable_shared_from_this<AsioOperation> {
 public:
  using List = std::list<AsioOperation*>;
  /// What a cancellation slot keeps: it may outlive the operation.
  struct Hook {
    std::weak_ptr<AsioLoop> loop;
    AsioOperation* operation;  ///< on the strand; null once it has ended
  };

  explicit AsioOperation(std::shared_ptr<AsioLoop> loop);
  AsioOperation(const AsioOperation&) = delete;
  AsioOperation& operator=(const AsioOperation&) = delete;
  virtual ~AsioOperation();

  /// Begins, with the timer's wait already begun.
  virtual void begin() = 0;
  /// The deadline has passed.
  virtual void expire() = 0;
  virtual void cancel() = 0;
  /// It cannot go on.
  virtual void abandon(const Error& why) = 0;

  /// Any thread, before it begins. Makes what a cancellation slot keeps.
  [[nodiscard]] std::shared_ptr<Hook> make_hook();
  [[nodiscard]] AsioLoop& loop() noexcept { return *loop_; }
  [[nodiscard]] net::steady_timer& timer() noexcept { return timer_; }

 protected:
  /// Moves it to the end of `list`.
  void enter(List& list);
  /// It has its outcome: the timer's wait ends, and calls the handler.
  void settle();

 private:
  void leave() noexcept;

  std::shared_ptr<AsioLoop> loop_;
  net::steady_timer timer_;
  std::shared_ptr<Hook> hook_;
  List* list_ = nullptr;
  List::iterator place_;
};

/// What a link or a channel has in an event loop of Asio: a descriptor, which is waited for as long
/// as an operation waits, and a strand, on which everything but the handlers runs.
class AsioLoop : public std::enable_shared_from_this<AsioLoop> {
 public:
  using Strand = net::strand<net::any_io_executor>;

  explicit AsioLoop(const net::any_io_executor& executor)
      : executor_(executor), strand_(net::make_strand(executor)), descriptor_(strand_) {}
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;
  virtual ~AsioLoop() = default;

  [[nodiscard]] const net::any_io_executor& executor() const noexcept { return executor_; }
  [[nodiscard]] const Strand& strand() const noexcept { return strand_; }
  /// On the strand. Whether it was closed: nothing begins any more.
  [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }

  /// Any thread. Ends all operations with `cancelled`.
  void cancel() {
    net::post(strand_, [self = shared_from_this()] { self->cancel_all(); });
  }
  /// Any thread. The same, for ever. It is kept until they have ended.
  void close() {
    // Relaxed: operations that begin at the same moment are a mistake of the caller's.
    if (operations_.load(std::memory_order_relaxed) == 0) return;
    net::post(strand_, [self = shared_from_this()] {
      self->is_closed_ = true;
      self->cancel_all();
    });
  }

  /// On the strand. Looks what has come, later; as often as it was asked for, once.
  void look_soon() {
    if (is_looking_ || is_look_posted_) return;
    is_look_posted_ = true;
    net::post(strand_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->is_look_posted_ = false;
        self->look();
      }
    });
  }
  /// On the strand. Ends what can be ended, and waits for the descriptor as long as any is left.
  void look();

 protected:
  /// Takes in what has come, and ends the operations that have their outcome.
  virtual void take_in() = 0;
  /// Returns false when there is something to take in already.
  [[nodiscard]] virtual Result<bool> arm() = 0;
  [[nodiscard]] virtual int event_fd() const = 0;
  [[nodiscard]] virtual bool has_operations() const noexcept = 0;
  virtual void cancel_all() = 0;
  virtual void abandon_all(const Error& why) = 0;
  /// No operation is left.
  virtual void rest() {}

  /// Returns whether the descriptor is not the one that is waited for.
  [[nodiscard]] bool has_other_fd() const { return source_ >= 0 && event_fd() != source_; }
  /// The next wait asks for the descriptor anew.
  void forget_fd() {
    AsioErrorCode ignored;
    descriptor_.close(ignored);
    source_ = -1;
  }

  template <class Use>
  static void for_each(const AsioOperation::List& list, Use&& use) {
    // Each ends, and leaves the list, when it is used.
    for (auto at = list.begin(); at != list.end();)
      use(**at++);
  }

 private:
  friend class AsioOperation;
  void wait();
  [[nodiscard]] Result<void> open_fd();

  net::any_io_executor executor_;
  Strand strand_;
  net::posix::stream_descriptor descriptor_;
  std::atomic<std::size_t> operations_{0};
  int source_ = -1;  ///< the descriptor of which ours is a duplicate
  bool is_waiting_ = false;
  bool is_looking_ = false;
  bool is_look_posted_ = false;
  bool is_closed_ = false;
};

inline void AsioLoop::look() {
  if (is_looking_) return;
  is_looking_ = true;
  if (has_operations()) take_in();
  is_looking_ = false;
  if (has_operations()) {
    auto armed = arm();
    if (armed && !*armed) {
      look_soon();
      return;
    }
    if (armed) {
      wait();
      return;
    }
    abandon_all(armed.error());
  }
  // Nor would the context's `run` return while this waits.
  AsioErrorCode ignored;
  if (is_waiting_) descriptor_.cancel(ignored);
  rest();
}

inline Result<void> AsioLoop::open_fd() {
  const int source = event_fd();
  if (source >= 0 && source == source_) return {};
  forget_fd();
  const int copy = source < 0 ? -1 : ::fcntl(source, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return tl::unexpected(Error::os(errno, "fcntl", "a descriptor for Asio"));
  AsioErrorCode failed;
  descriptor_.assign(copy, failed);
  if (failed) {
    ::close(copy);
    return tl::unexpected(Error::os(failed.value(), "epoll_ctl", "a descriptor for Asio"));
  }
  source_ = source;
  return {};
}

inline void AsioLoop::wait() {
  if (auto opened = open_fd(); !opened) {
    abandon_all(opened.error());
    return;
  }
  // One that was cancelled looks when it ends, and so begins anew.
  if (is_waiting_) return;
  is_waiting_ = true;
  descriptor_.async_wait(
      net::posix::stream_descriptor::wait_read, [weak = weak_from_this()](AsioErrorCode failed) {
        const auto self = weak.lock();
        if (!self) return;
        self->is_waiting_ = false;
        if (failed && failed != net::error::operation_aborted) {
          self->abandon_all(Error::os(failed.value(), "epoll_wait", "a descriptor for Asio"));
        }
        if (self->has_operations()) self->look();
      });
}

inline AsioOperation::AsioOperation(std::shared_ptr<AsioLoop> loop)
    : loop_(std::move(loop)), timer_(loop_->strand_) {
  // Relaxed: see `AsioLoop::close`.
  loop_->operations_.fetch_add(1, std::memory_order_relaxed);
}
inline AsioOperation::~AsioOperation() {
  leave();
  loop_->operations_.fetch_sub(1, std::memory_order_relaxed);
}

inline std::shared_ptr<AsioOperation::Hook> AsioOperation::make_hook() {
  hook_ = std::make_shared<Hook>(Hook{loop_, this});
  return hook_;
}

inline void AsioOperation::enter(List& list) {
  leave();
  place_ = list.insert(list.end(), this);
  list_ = &list;
}
inline void AsioOperation::leave() noexcept {
  if (list_ != nullptr) list_->erase(place_);
  list_ = nullptr;
}
inline void AsioOperation::settle() {
  leave();
  if (hook_) hook_->operation = nullptr;
  timer_.cancel();
  loop_->look_soon();
}

}  // namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR
