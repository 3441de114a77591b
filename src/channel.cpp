// SPDX-License-Identifier: MIT
#include "mews/channel.hpp"

#include <algorithm>
#include <chrono>

#include "core/channel_core.hpp"
#include "mews/base/assert.hpp"
#include "mews/base/atomic.hpp"

namespace mews {
namespace {

using detail::Patience;

bool lock_until(std::unique_lock<std::timed_mutex>& lock, Deadline deadline) {
  if constexpr (base::kIsThreadSanitized) {
    // It does not see pthread_mutex_clocklock, which the steady clock needs, take the mutex.
    const auto left = std::min<Deadline::Clock::duration>(deadline.left(), std::chrono::hours(1));
    return lock.try_lock_until(std::chrono::system_clock::now() + left);
  }
  return lock.try_lock_until(deadline.at());
}

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
template <class Use>
Result<void> in_turn(detail::ChannelCore& core, Deadline deadline, Use&& use) {
  std::unique_lock lock(core.shared_mutex(), std::defer_lock);
  if (!lock.try_lock()) {
    if (deadline.is_forever()) {
      lock.lock();
    } else if (!lock_until(lock, deadline)) {
      return fail(ErrorCode::timed_out, "other threads of this process are sending");
    }
  }
  return use();
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
Result<Loan> Channel::loan(std::size_t bytes, Deadline deadline) {
  return loan_from(core(), bytes, deadline);
}
Result<Loan> Channel::try_loan(std::size_t bytes) {
  return loan_from(core(), bytes, Patience::none());
}

Result<void> Channel::send(Loan&& loan, Envelope envelope) {
  return core().send(loan, envelope, Patience::usual());
}
Result<void> Channel::send(Loan&& loan, Envelope envelope, Deadline deadline) {
  return core().send(loan, envelope, deadline);
}
Result<void> Channel::try_send(Loan&& loan, Envelope envelope) {
  return core().send(loan, envelope, Patience::none());
}

Result<void> Channel::send(std::span<const std::byte> bytes, Envelope envelope) {
  return core().send(bytes, envelope, Patience::usual());
}
Result<void> Channel::send(std::span<const std::byte> bytes, Envelope envelope, Deadline deadline) {
  return core().send(bytes, envelope, deadline);
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
Result<Message> Channel::receive(Deadline deadline) {
  return message_from(core(), deadline);
}
Result<Message> Channel::try_receive() {
  return message_from(core(), Patience::none());
}

Result<std::size_t> Channel::receive_batch(const std::function<void(const MessageView&)>& visit,
                                           std::size_t limit) {
  return core().receive_batch(visit, limit, Patience::usual());
}
Result<std::size_t> Channel::receive_batch(const std::function<void(const MessageView&)>& visit,
                                           std::size_t limit, Deadline deadline) {
  return core().receive_batch(visit, limit, deadline);
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
Result<Loan> SharedSender::loan(std::size_t bytes, Deadline deadline) {
  return loan_from(core(), bytes, deadline);
}
Result<void> SharedSender::send(Loan&& loan, Envelope envelope) {
  return send(std::move(loan), envelope, core().session().deadline_of(Patience::usual()));
}
Result<void> SharedSender::send(Loan&& loan, Envelope envelope, Deadline deadline) {
  return in_turn(core(), deadline, [&] { return core().send(loan, envelope, deadline); });
}
Result<void> SharedSender::send(std::span<const std::byte> bytes, Envelope envelope) {
  return send(bytes, envelope, core().session().deadline_of(Patience::usual()));
}
Result<void> SharedSender::send(std::span<const std::byte> bytes, Envelope envelope,
                                Deadline deadline) {
  return in_turn(core(), deadline, [&] { return core().send(bytes, envelope, deadline); });
}

}  // namespace mews
