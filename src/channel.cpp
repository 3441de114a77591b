// SPDX-License-Identifier: MIT
#include "mews/channel.hpp"

#include <optional>

#include "core/channel_core.hpp"
#include "mews/base/assert.hpp"

namespace mews {
namespace {

using detail::Patience;

// The one named result is what the caller gets: nothing is moved.
Result<Loan> loan_from(detail::ChannelCore& core, std::size_t bytes, Patience patience) {
  Result<Loan> loan;
  core.loan(loan, bytes, patience);
  return loan;
}
Result<Message> message_from(detail::ChannelCore& core, Patience patience) {
  Result<Message> message;
  core.receive(message, patience);
  return message;
}

detail::ChannelCore& used(const std::shared_ptr<detail::ChannelCore>& core) noexcept {
  MEWS_ASSERT(core != nullptr, "a channel or sender that was moved from is used");
  return *core;
}

/// One thread's turn on a shared sender.
class InTurn {
 public:
  /// Waits for it as far as `patience` goes, which is then what is left of it.
  InTurn(detail::ChannelCore& core, Patience& patience) : turn_(core.shared_turn()) {
    // Before the turn: in a forked child it may never come.
    if (!core.session().is_own()) {
      failed_ = ErrorCode::wrong_process;
    } else if (!turn_.try_enter()) {
      failed_ = patience.may_wait() ? wait(core, patience) : ErrorCode::would_block;
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
  std::optional<ErrorCode> wait(detail::ChannelCore& core, Patience& patience) {
    const auto until = core.session().until(patience);
    patience = Patience::of(until);
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
Result<void> send_in_turn(detail::ChannelCore& core, Payload&& payload, Envelope envelope,
                          Patience patience) {
  InTurn turn(core, patience);
  return turn.run([&] { return core.send(payload, envelope, patience); });
}

}  // namespace

Channel::Channel(std::shared_ptr<detail::ChannelCore> core) noexcept : core_(std::move(core)) {}
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&&) noexcept = default;
Channel::~Channel() = default;

detail::ChannelCore& Channel::core() const noexcept {
  return used(core_);
}

Result<Loan> Channel::loan(std::size_t bytes) {
  return loan_from(core(), bytes, Patience::usual());
}
Result<Loan> Channel::loan(std::size_t bytes, Deadline deadline, const std::stop_token& stop) {
  return loan_from(core(), bytes, {deadline, stop});
}
Result<Loan> Channel::try_loan(std::size_t bytes) {
  return loan_from(core(), bytes, Patience::none());
}

Result<void> Channel::send(Loan&& loan, Envelope envelope) {
  return core().send(loan, envelope, Patience::usual());
}
Result<void> Channel::send(Loan&& loan, Envelope envelope, Deadline deadline,
                           const std::stop_token& stop) {
  return core().send(loan, envelope, {deadline, stop});
}
Result<void> Channel::try_send(Loan&& loan, Envelope envelope) {
  return core().send(loan, envelope, Patience::none());
}

Result<void> Channel::send(std::span<const std::byte> bytes, Envelope envelope) {
  return core().send(bytes, envelope, Patience::usual());
}
Result<void> Channel::send(std::span<const std::byte> bytes, Envelope envelope, Deadline deadline,
                           const std::stop_token& stop) {
  return core().send(bytes, envelope, {deadline, stop});
}
Result<void> Channel::try_send(std::span<const std::byte> bytes, Envelope envelope) {
  return core().send(bytes, envelope, Patience::none());
}

Result<std::size_t> Channel::try_send_batch(std::span<Loan> loans, Envelope envelope) {
  return core().try_send_batch(loans, envelope);
}

Result<Message> Channel::receive() {
  return message_from(core(), Patience::usual());
}
Result<Message> Channel::receive(Deadline deadline, const std::stop_token& stop) {
  return message_from(core(), {deadline, stop});
}
Result<Message> Channel::try_receive() {
  return message_from(core(), Patience::none());
}

Result<std::size_t> Channel::receive_batch(const std::function<void(const MessageView&)>& visit,
                                           std::size_t limit) {
  return core().receive_batch(visit, limit, Patience::usual());
}
Result<std::size_t> Channel::receive_batch(const std::function<void(const MessageView&)>& visit,
                                           std::size_t limit, Deadline deadline,
                                           const std::stop_token& stop) {
  return core().receive_batch(visit, limit, {deadline, stop});
}
Result<std::size_t> Channel::try_receive_batch(const std::function<void(const MessageView&)>& visit,
                                               std::size_t limit) {
  return core().receive_batch(visit, limit, Patience::none());
}

SharedSender Channel::shared() {
  return SharedSender(core_);
}
Result<void> Channel::close() {
  return core().close();
}
int Channel::event_fd() const noexcept {
  return core().event_fd();
}
Result<bool> Channel::arm_event() {
  return core().arm_event();
}

SharedSender::SharedSender(std::shared_ptr<detail::ChannelCore> core) noexcept
    : core_(std::move(core)) {}

detail::ChannelCore& SharedSender::core() const noexcept {
  return used(core_);
}

Result<Loan> SharedSender::loan(std::size_t bytes) {
  return loan_from(core(), bytes, Patience::usual());
}
Result<Loan> SharedSender::loan(std::size_t bytes, Deadline deadline, const std::stop_token& stop) {
  return loan_from(core(), bytes, {deadline, stop});
}
Result<void> SharedSender::send(Loan&& loan, Envelope envelope) {
  return send_in_turn(core(), loan, envelope, Patience::usual());
}
Result<void> SharedSender::send(Loan&& loan, Envelope envelope, Deadline deadline,
                                const std::stop_token& stop) {
  return send_in_turn(core(), loan, envelope, {deadline, stop});
}
Result<void> SharedSender::send(std::span<const std::byte> bytes, Envelope envelope) {
  return send_in_turn(core(), bytes, envelope, Patience::usual());
}
Result<void> SharedSender::send(std::span<const std::byte> bytes, Envelope envelope,
                                Deadline deadline, const std::stop_token& stop) {
  return send_in_turn(core(), bytes, envelope, {deadline, stop});
}

}  // namespace mews
