// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crash/payload.hpp"
#include "crash/victim_log.hpp"
#include "mews/mews.hpp"

/// One end of a channel in a process that may end at any step: it numbers what it sends, checks
/// what it receives, and keeps the log up to date.
namespace mews_test {

/// The message after which the receiver's part of a scenario is done.
inline constexpr std::uint32_t kLast = 7;

class Actor {
 public:
  Actor(mews::Channel& channel, VictimLog& log) noexcept : channel_(channel), log_(log) {}

  [[nodiscard]] mews::Channel& channel() noexcept { return channel_; }
  [[nodiscard]] VictimLog& log() noexcept { return log_; }

  [[nodiscard]] mews::Loan loan(std::size_t bytes) {
    auto loan = channel_.loan(bytes, mews::forever);
    if (loan) return std::move(*loan);
    complain(log_, "loan: " + loan.error().message());
    return {};
  }

  void send(mews::Loan loan, std::uint32_t type = 0) {
    if (!loan.is_valid()) return;
    fill(loan.bytes(), next_out_);
    log_.begun.fetch_add(1);
    done(channel_.send(std::move(loan), envelope(type), mews::forever), 1);
  }

  void send(std::size_t bytes, std::uint32_t type = 0) {
    std::vector<std::byte> payload(bytes);
    fill(payload, next_out_);
    log_.begun.fetch_add(1);
    done(channel_.send(payload, envelope(type), mews::forever), 1);
  }

  /// False when the lane is full.
  [[nodiscard]] bool try_send(std::size_t bytes) {
    std::vector<std::byte> payload(bytes);
    fill(payload, next_out_);
    log_.begun.fetch_add(1);
    auto sent = channel_.try_send(payload, envelope(0));
    if (!sent && sent.error().code() == mews::ErrorCode::would_block) {
      log_.begun.fetch_sub(1);
      return false;
    }
    done(std::move(sent), 1);
    return true;
  }

  void send_batch(std::vector<mews::Loan> loans) {
    for (std::size_t i = 0; i < loans.size(); ++i)
      fill(loans[i].bytes(), next_out_ + i);
    log_.begun.fetch_add(loans.size());
    auto sent = channel_.try_send_batch(loans);
    if (!sent && sent.error().code() == mews::ErrorCode::would_block) sent = 0;
    if (!sent) return done(tl::unexpected(sent.error()), 0);
    // Nothing was sent before: the lane is empty.
    if (next_out_ == 0 && *sent != loans.size()) complain(log_, "a batch was cut short");
    done({}, *sent);
    // Where the reader has not kept up, the rest waits for room.
    for (auto i = *sent; i < loans.size(); ++i)
      done(channel_.send(std::move(loans[i]), {}, mews::forever), 1);
  }

  /// The next message, checked; empty when there is none any more.
  [[nodiscard]] std::optional<mews::Message> receive() {
    auto message = channel_.receive(mews::forever);
    if (!message) {
      complain(log_, "receive: " + message.error().message());
      return std::nullopt;
    }
    check(message->bytes());
    return std::move(*message);
  }

  void check(std::span<const std::byte> bytes) {
    const auto number = log_.received.fetch_add(1);
    if (const auto fault = fault_of(bytes, number)) {
      complain(log_, "message " + std::to_string(number) + ": " + *fault);
    }
  }

 private:
  [[nodiscard]] mews::Envelope envelope(std::uint32_t type) const {
    return {.type = type, .correlation = next_out_};
  }
  void done(mews::Result<void> sent, std::size_t count) {
    if (!sent) return complain(log_, "send: " + sent.error().message());
    next_out_ += count;
    log_.sent.fetch_add(count);
  }

  mews::Channel& channel_;
  VictimLog& log_;
  std::uint64_t next_out_ = 0;
};

}  // namespace mews_test
