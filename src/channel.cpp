// SPDX-License-Identifier: MIT
#include "mews/channel.hpp"

#include <optional>

#include "core/channel_slow.hpp"

namespace mews::inline MEWS_LAYOUT {
namespace {

using detail::Timeout;
using Core = std::shared_ptr<detail::ChannelCore>;

Error empty_channel() noexcept {
  return Error(ErrorCode::invalid_argument,
               "this channel is empty: it was moved from, or it is a host's own; a host has one "
               "channel with each plugin, Plugin::channel()");
}
template <class T>
Result<T> refused() noexcept {
  return tl::unexpected<Error>(empty_channel());
}

Result<Loan> loan_from(const Core& core, std::size_t bytes, Timeout timeout) {
  if (!core) return refused<Loan>();
  Result<Loan> loan;
  core->loan(loan, bytes, timeout);
  return loan;
}
Result<Loan> loan_from(const Core& core, std::size_t bytes, std::size_t alignment,
                       Timeout timeout) {
  if (!core) return refused<Loan>();
  Result<Loan> loan;
  core->loan_aligned(loan, bytes, alignment, timeout);
  return loan;
}
Result<std::size_t> batch_from(const Core& core, VisitRef visit, std::size_t limit,
                               Timeout timeout) {
  return core ? core->receive_batch(visit, limit, timeout) : refused<std::size_t>();
}

/// One thread's turn on a shared sender.
class InTurn {
 public:
  /// Waits for the turn until `timeout` ends. Fixes its deadline, so that the rest of the call gets
  /// the time that is left.
  InTurn(detail::ChannelCore& core, Timeout& timeout) : turn_(core.shared_turn()) {
    // Before the turn: in a forked child the turn may never come.
    if (!core.session().is_own()) {
      failed_ = ErrorCode::wrong_process;
    } else if (!turn_.try_enter()) {
      failed_ = timeout.may_wait() ? wait(core, timeout) : ErrorCode::would_block;
    }
  }
  InTurn(const InTurn&) = delete;
  InTurn& operator=(const InTurn&) = delete;
  ~InTurn() {
    if (!failed_) turn_.leave();
  }

  /// Runs `use` if the turn has come.
  template <class Use>
  auto run(Use&& use) -> decltype(use()) {
    if (failed_ == ErrorCode::timed_out) {
      return fail(ErrorCode::timed_out, "other threads of this process are sending");
    }
    if (failed_) return fail(*failed_);
    return use();
  }

 private:
  std::optional<ErrorCode> wait(detail::ChannelCore& core, Timeout& timeout) {
    const auto until = core.session().until(timeout);
    timeout = Timeout::of(until);
    const detail::WakeOnStop stop(until, [this] { turn_.interrupt(); });
    switch (turn_.enter(until.deadline, [&until] { return until.is_cancelled(); })) {
      case sync::Turned::entered:
        return std::nullopt;
      case sync::Turned::late:
        return ErrorCode::timed_out;
      case sync::Turned::cancelled:
        break;
    }
    return ErrorCode::cancelled;
  }

  sync::Turn& turn_;
  std::optional<ErrorCode> failed_;
};

template <class Payload>
Result<void> send_in_turn(const Core& core, Payload&& payload, Envelope envelope, Timeout timeout) {
  if (!core) return refused<void>();
  InTurn turn(*core, timeout);
  return turn.run([&] { return core->send(payload, envelope, timeout); });
}

}  // namespace

Channel::Channel(std::shared_ptr<detail::ChannelCore> core) noexcept : core_(std::move(core)) {}
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&&) noexcept = default;
Channel::~Channel() = default;

Error Channel::refusal() noexcept {
  return empty_channel();
}

Result<Loan> Channel::loan(std::size_t bytes, std::size_t alignment) {
  return loan_from(core_, bytes, alignment, Timeout::usual());
}
Result<Loan> Channel::loan(std::size_t bytes, std::size_t alignment, Deadline deadline,
                           const std::stop_token& stop) {
  return loan_from(core_, bytes, alignment, {deadline, stop});
}
Result<Loan> Channel::try_loan(std::size_t bytes, std::size_t alignment) {
  return loan_from(core_, bytes, alignment, Timeout::none());
}

Result<std::size_t> Channel::try_send_batch(std::span<Loan> loans, Envelope envelope) {
  return core_ ? core_->try_send_batch(loans, envelope) : refused<std::size_t>();
}

Result<std::size_t> Channel::receive_batch(VisitRef visit, std::size_t limit) {
  return batch_from(core_, visit, limit, Timeout::usual());
}
Result<std::size_t> Channel::receive_batch(VisitRef visit, std::size_t limit, Deadline deadline,
                                           const std::stop_token& stop) {
  return batch_from(core_, visit, limit, {deadline, stop});
}
Result<std::size_t> Channel::try_receive_batch(VisitRef visit, std::size_t limit) {
  return batch_from(core_, visit, limit, Timeout::none());
}

SharedSender Channel::shared() {
  return SharedSender(core_);
}
Result<void> Channel::close() {
  return core_ ? core_->close() : refused<void>();
}
int Channel::event_fd() const noexcept {
  return core_ ? core_->event_fd() : -1;
}
Result<bool> Channel::arm_event() {
  return core_ ? core_->arm_event() : refused<bool>();
}

SharedSender::SharedSender(std::shared_ptr<detail::ChannelCore> core) noexcept
    : core_(std::move(core)) {}

Result<Loan> SharedSender::loan(std::size_t bytes) {
  return loan_from(core_, bytes, Timeout::usual());
}
Result<Loan> SharedSender::loan(std::size_t bytes, Deadline deadline, const std::stop_token& stop) {
  return loan_from(core_, bytes, {deadline, stop});
}
Result<Loan> SharedSender::try_loan(std::size_t bytes) {
  return loan_from(core_, bytes, Timeout::none());
}
Result<Loan> SharedSender::loan(std::size_t bytes, std::size_t alignment) {
  return loan_from(core_, bytes, alignment, Timeout::usual());
}
Result<Loan> SharedSender::loan(std::size_t bytes, std::size_t alignment, Deadline deadline,
                                const std::stop_token& stop) {
  return loan_from(core_, bytes, alignment, {deadline, stop});
}
Result<Loan> SharedSender::try_loan(std::size_t bytes, std::size_t alignment) {
  return loan_from(core_, bytes, alignment, Timeout::none());
}

Result<void> SharedSender::send(Loan&& loan, Envelope envelope) {
  return send_in_turn(core_, loan, envelope, Timeout::usual());
}
Result<void> SharedSender::send(Loan&& loan, Envelope envelope, Deadline deadline,
                                const std::stop_token& stop) {
  return send_in_turn(core_, loan, envelope, {deadline, stop});
}
Result<void> SharedSender::try_send(Loan&& loan, Envelope envelope) {
  return send_in_turn(core_, loan, envelope, Timeout::none());
}
Result<void> SharedSender::send(std::span<const std::byte> bytes, Envelope envelope) {
  return send_in_turn(core_, bytes, envelope, Timeout::usual());
}
Result<void> SharedSender::send(std::span<const std::byte> bytes, Envelope envelope,
                                Deadline deadline, const std::stop_token& stop) {
  return send_in_turn(core_, bytes, envelope, {deadline, stop});
}
Result<void> SharedSender::try_send(std::span<const std::byte> bytes, Envelope envelope) {
  return send_in_turn(core_, bytes, envelope, Timeout::none());
}
Result<std::size_t> SharedSender::try_send_batch(std::span<Loan> loans, Envelope envelope) {
  if (!core_) return refused<std::size_t>();
  auto none = Timeout::none();
  InTurn turn(*core_, none);
  return turn.run([&] { return core_->try_send_batch(loans, envelope); });
}

}  // namespace mews::inline MEWS_LAYOUT
