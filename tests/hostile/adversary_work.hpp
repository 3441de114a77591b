// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "../process/roles.hpp"
#include "../support/random.hpp"

/// What honest processes do beside a live adversary: requests that ask for so many bytes, and
/// their answers. Every byte is known from the worker's salt and the request's number.
namespace hostile_test {

using namespace process_test;

/// What an adversary tells a test of itself.
struct Scribbles {
  std::atomic<std::uint64_t> bursts{0};
};

/// Of each call.
inline constexpr std::chrono::seconds kWorkDeadline{1};
/// The same where nobody is in the way.
inline constexpr std::chrono::seconds kQuietDeadline{15};
inline constexpr std::size_t kMostWorkBytes = 400'000;
/// The type of an answer that says: the request had other bytes than were sent.
inline constexpr std::uint32_t kWrongRequest = ~0U;

[[nodiscard]] inline std::uint64_t request_key(std::uint64_t salt, std::uint64_t number) {
  return mixed(salt) + 2 * number;
}
/// Half of the payloads fit in the lane, a few are large.
[[nodiscard]] inline std::size_t work_size(mews_test::Random& random) {
  switch (random() % 8) {
    case 0:
      return random() % (kMostWorkBytes + 1);
    case 1:
    case 2:
    case 3:
      return random() % 16'000;
    default:
      return random() % 481;
  }
}

/// Answers until the channel ends; a request whose answer cannot be sent in time gets none. Returns
/// an exit code: 0 for a good end.
[[nodiscard]] inline int work(mews::Channel& channel, std::uint64_t salt) {
  const auto goes_on = [](const mews::Error& error) {
    return error.code() == mews::ErrorCode::timed_out;
  };
  for (;;) {
    mews::Envelope envelope;
    bool is_right = false;
    {
      const auto request = channel.receive(mews::forever);
      if (!request) return exit_code(request.error());
      envelope = request->envelope();
      is_right = is_filled(request->bytes(), request_key(salt, envelope.correlation));
    }
    const std::size_t bytes = is_right ? envelope.type : 0;
    if (!is_right) envelope.type = kWrongRequest;
    auto loan = channel.loan(bytes, kWorkDeadline);
    if (!loan && goes_on(loan.error())) continue;
    if (!loan) return exit_code(loan.error());
    fill(loan->bytes(), request_key(salt, envelope.correlation) + 1);
    const auto sent = channel.send(std::move(*loan), envelope, kWorkDeadline);
    if (!sent && !goes_on(sent.error())) return exit_code(sent.error());
  }
}

}  // namespace hostile_test
