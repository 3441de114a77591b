// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ends.hpp"

/// The plugins' side of the tests that run within one process as well as across two. Each role
/// ends when its channel does and returns an exit code: 0 for a good end.
namespace process_test {

using Words = std::vector<std::string>;

inline constexpr std::uint32_t kForward = 0;  ///< for `echo`: send the same memory back
inline constexpr std::uint32_t kCopy = 1;     ///< for `echo`: send a copy back
inline constexpr std::uint32_t kDone = 2;
inline constexpr std::uint32_t kFailed = 3;

[[nodiscard]] inline int exit_code(const mews::Error& end) {
  return end.code() == mews::ErrorCode::closed ? 0 : 10 + static_cast<int>(end.code());
}

/// Sends back whatever comes.
[[nodiscard]] inline int echo(mews::Channel& channel) {
  for (;;) {
    auto message = channel.receive(mews::forever);
    if (!message) return exit_code(message.error());
    const auto envelope = message->envelope();
    const auto sent = envelope.type == kCopy
                          ? channel.send(message->bytes(), envelope, kPatience)
                          : channel.send(std::move(*message).into_loan(), envelope, kPatience);
    if (!sent) return exit_code(sent.error());
  }
}

/// "exchange COUNT OUT IN": streams both ways, then the verdict.
[[nodiscard]] inline int exchange_role(mews::Channel& channel, const Words& words) {
  const auto verdict = exchange(channel, std::stoull(words.at(1)), std::stoull(words.at(2)),
                                std::stoull(words.at(3)));
  const auto type = verdict.empty() ? kDone : kFailed;
  if (auto sent = channel.send(bytes_of(verdict), {.type = type, .correlation = 0}); !sent) {
    return exit_code(sent.error());
  }
  return echo(channel);
}

/// The story's plugin: a request names the size of its result. What cannot be had is answered, too.
[[nodiscard]] inline int decode(mews::Channel& channel) {
  for (;;) {
    const auto request = channel.receive(mews::forever);
    if (!request) return exit_code(request.error());
    mews::Envelope envelope{.type = kDone, .correlation = request->correlation()};
    auto result = channel.loan(std::stoull(std::string(request->text())), 1s);
    mews::Result<void> sent;
    if (result) {
      fill(result->bytes(), envelope.correlation);
      sent = channel.send(std::move(*result), envelope);
    } else {
      envelope.type = kFailed;
      sent = channel.send(bytes_of(result.error().message()), envelope);
    }
    if (!sent) return exit_code(sent.error());
  }
}

/// "hold BYTES": takes all memory of that size there is and says how many pieces; gives one back
/// for each message that comes.
[[nodiscard]] inline int hold(mews::Channel& channel, const Words& words) {
  std::vector<mews::Loan> loans;
  for (;;) {
    auto loan = channel.try_loan(std::stoull(words.at(1)));
    if (!loan) break;
    loans.push_back(std::move(*loan));
  }
  if (auto sent = channel.send(bytes_of(std::to_string(loans.size()))); !sent) {
    return exit_code(sent.error());
  }
  for (;;) {
    const auto message = channel.receive(mews::forever);
    if (!message) return exit_code(message.error());
    if (!loans.empty()) loans.pop_back();
  }
}

/// "batch COUNT": waits for a message, then sends that many at once, numbered.
[[nodiscard]] inline int batch(mews::Channel& channel, const Words& words) {
  for (;;) {
    const auto message = channel.receive(mews::forever);
    if (!message) return exit_code(message.error());
    std::vector<mews::Loan> loans;
    for (std::uint64_t i = 0; i < std::stoull(words.at(1)); ++i) {
      auto loan = channel.loan(i * 100);
      if (!loan) return exit_code(loan.error());
      fill(loan->bytes(), i);
      loans.push_back(std::move(*loan));
    }
    const auto sent = channel.try_send_batch(loans, message->envelope());
    if (!sent) return exit_code(sent.error());
    if (*sent != loans.size()) return 9;
  }
}

/// Says how a wait for a message ends that another thread of this process stops, and the next.
[[nodiscard]] inline int cancel(mews::Channel& channel) {
  std::stop_source source;
  std::thread stopper([&source] {
    std::this_thread::sleep_for(20ms);
    source.request_stop();
  });
  const auto received = outcome(channel.receive(mews::forever, source.get_token()));
  stopper.join();
  const auto again = outcome(channel.receive(mews::forever, source.get_token()));
  if (auto sent = channel.send(bytes_of(received + " " + again)); !sent) {
    return exit_code(sent.error());
  }
  return echo(channel);
}

[[nodiscard]] inline int play(mews::Channel& channel, const Words& words) {
  const auto& role = words.at(0);
  if (role == "echo") return echo(channel);
  if (role == "exchange") return exchange_role(channel, words);
  if (role == "decode") return decode(channel);
  if (role == "hold") return hold(channel, words);
  if (role == "batch") return batch(channel, words);
  if (role == "cancel") return cancel(channel);
  return 8;
}

}  // namespace process_test
