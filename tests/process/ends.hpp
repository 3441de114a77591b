// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "mews/mews.hpp"

/// What both ends of a channel do in these tests, whichever process they are in.
namespace process_test {

using namespace std::chrono_literals;

/// So long that only a hang reaches it; no test waits for it to pass.
inline constexpr std::chrono::seconds kPatience{45};

template <class T>
T must(mews::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// "ok", or the error's name: one word for a test to compare.
template <class T>
[[nodiscard]] std::string outcome(const mews::Result<T>& result) {
  return result ? "ok" : std::string(to_string(result.error().code()));
}

[[nodiscard]] inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// A stream of numbers that differ with `seed` and place.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t seed) noexcept {
  seed += 0x9e3779b97f4a7c15;
  seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9;
  seed = (seed ^ seed >> 27) * 0x94d049bb133111eb;
  return seed ^ seed >> 31;
}

/// Fills `bytes` with what `is_filled` recognises by the same seed.
inline void fill(std::span<std::byte> bytes, std::uint64_t seed) noexcept {
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    const auto word = mixed(seed + at);
    std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, bytes.size() - at));
  }
}
[[nodiscard]] inline bool is_filled(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    const auto word = mixed(seed + at);
    if (std::memcmp(bytes.data() + at, &word, std::min<std::size_t>(8, bytes.size() - at)) != 0) {
      return false;
    }
  }
  return true;
}

/// The size of message `number`: most fit in the lane, some need a slab, a few a large one.
[[nodiscard]] inline std::size_t mixed_size(std::uint64_t number) noexcept {
  const auto dice = mixed(number);
  const auto in_lane = static_cast<std::size_t>(dice >> 32) % 481;
  switch (dice % 64) {
    case 0:
      return 60'000 + in_lane;
    case 1:
      return 5'000 + in_lane;
    case 2:
    case 3:
    case 4:
    case 5:
      return 481 + in_lane;
    default:
      return in_lane;
  }
}

/// Sends messages 0 to `count` - 1 of the stream `salt`; what went wrong, or nothing.
[[nodiscard]] inline std::string send_stream(mews::Channel& channel, std::uint64_t count,
                                             std::uint64_t salt) {
  for (std::uint64_t i = 0; i < count; ++i) {
    auto loan = channel.loan(mixed_size(salt + i), kPatience);
    if (!loan) return "loan of message " + std::to_string(i) + ": " + loan.error().message();
    fill(loan->bytes(), salt + i);
    const mews::Envelope envelope{.type = static_cast<std::uint32_t>(salt), .correlation = i};
    if (auto sent = channel.send(std::move(*loan), envelope, kPatience); !sent) {
      return "message " + std::to_string(i) + ": " + sent.error().message();
    }
  }
  return {};
}

/// Receives the same and checks each byte; what is wrong, or nothing.
[[nodiscard]] inline std::string receive_stream(mews::Channel& channel, std::uint64_t count,
                                                std::uint64_t salt) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto message = channel.receive(kPatience);
    if (!message)
      return "instead of message " + std::to_string(i) + ": " + message.error().message();
    if (message->correlation() != i || message->type() != static_cast<std::uint32_t>(salt)) {
      return "message " + std::to_string(message->correlation()) + " instead of " +
             std::to_string(i);
    }
    if (message->size() != mixed_size(salt + i) || !is_filled(message->bytes(), salt + i)) {
      return "message " + std::to_string(i) + " has other bytes than were sent";
    }
  }
  return {};
}

/// Both at once, from two threads.
[[nodiscard]] inline std::string exchange(mews::Channel& channel, std::uint64_t count,
                                          std::uint64_t salt_out, std::uint64_t salt_in) {
  std::string sent;
  std::thread sender([&] { sent = send_stream(channel, count, salt_out); });
  const auto received = receive_stream(channel, count, salt_in);
  sender.join();
  return sent.empty() ? received : "sending: " + sent;
}

/// An arena small enough to be exhausted: 8 slabs each of 4 KiB, 64 KiB and 1 MiB.
[[nodiscard]] inline mews::CreateOptions small_arena() {
  mews::CreateOptions options;
  options.name = "small";
  options.size_classes = {{4096, 8}, {65536, 8}, {1 << 20, 8}};
  options.reply_slabs = 0;
  options.fallback_classes = 0;
  options.ring_cells = 64;
  return options;
}

}  // namespace process_test
