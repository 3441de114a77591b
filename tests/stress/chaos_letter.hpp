// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mews/mews.hpp"
#include "stress/chaos_witness.hpp"
#include "support/random.hpp"

/// What host and plugins send each other in the chaos test.
namespace mews_test::chaos {

/// Exit codes of a plugin.
inline constexpr int kEndedInABatch = 3;  ///< it was told to, by SIGUSR1
inline constexpr int kSawNonsense = 42;   ///< a message was lost, repeated, out of order or wrong

struct Head {
  std::uint64_t number;  ///< 0, 1, 2 ... per life of the plugin and direction
  std::uint64_t bytes;
  std::uint64_t checksum;  ///< of what follows
};

/// Up to 480 bytes in the lane, then a slab of any class, now and then a run.
[[nodiscard]] inline std::size_t random_size(Random& random) {
  const auto kind = between(random, 0, 999);
  if (kind < 700) return between(random, sizeof(Head), 480);
  if (kind < 900) return between(random, 481, 16'384);
  if (kind < 975) return between(random, 16'385, 262'144);
  if (kind < 997) return between(random, 262'145, 1 << 20);
  return between(random, (1 << 20) + 1, 5 << 20);
}

/// In the lane.
[[nodiscard]] inline std::size_t small_size(Random& random) {
  return between(random, sizeof(Head), 90);
}

[[nodiscard]] inline std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept {
  std::uint64_t sum = bytes.size();
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    sum = (std::rotl(sum, 5) ^ word) * 0x9e3779b97f4a7c15;
  }
  for (; at < bytes.size(); ++at)
    sum = sum * 31 + std::to_integer<unsigned>(bytes[at]);
  return sum;
}

/// Fills a payload with a letter of that number.
inline void write_letter(std::span<std::byte> bytes, std::uint64_t number, Random& random) {
  auto word = random();
  std::size_t at = sizeof(Head);
  for (; at + 8 <= bytes.size(); at += 8) {
    word = word * 6364136223846793005 + 1442695040888963407;
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  for (; at < bytes.size(); ++at)
    bytes[at] = std::byte{0x5a};
  const Head head{number, bytes.size(), checksum_of(bytes.subspan(sizeof(Head)))};
  std::memcpy(bytes.data(), &head, sizeof head);
}

/// A letter that was received goes on under another number.
inline void readdress(std::span<std::byte> bytes, std::uint64_t number) noexcept {
  std::memcpy(bytes.data(), &number, sizeof number);
}

[[nodiscard]] inline bool is_letter(std::span<const std::byte> bytes, std::uint64_t number) {
  Head head{};
  if (bytes.size() < sizeof head) return false;
  std::memcpy(&head, bytes.data(), sizeof head);
  return head.number == number && head.bytes == bytes.size() &&
         head.checksum == checksum_of(bytes.subspan(sizeof head));
}

/// One end of a channel: sends at random, checks what comes. The same code in host and plugin.
class Correspondent {
 public:
  /// `life`, if any, is told of what is published.
  explicit Correspondent(std::uint64_t seed, Life* life = nullptr) : random_(seed), life_(life) {}

  [[nodiscard]] Random& random() noexcept { return random_; }
  [[nodiscard]] std::uint64_t received() const noexcept { return in_; }
  [[nodiscard]] std::uint64_t sent() const noexcept { return out_; }
  /// The other end begins anew.
  void begin_anew() noexcept { in_ = out_ = 0; }
  void drop_all() noexcept { kept_.clear(); }

  /// One letter, if there is one. Keeps a few for a while.
  mews::Result<void> receive(mews::Channel& channel, mews::Deadline deadline) {
    auto message = channel.receive(deadline);
    if (!message) return tl::unexpected(std::move(message.error()));
    if (!is_letter(message->bytes(), in_)) {
      return mews::fail(mews::ErrorCode::peer_corrupt,
                        "letter " + std::to_string(in_) + " was lost, repeated or changed");
    }
    ++in_;
    kept_.push_back(std::move(*message));
    if (kept_.size() > 4) kept_.pop_front();
    return {};
  }

  /// One letter, a batch, or one that was received sent on. No room, or no slab: nothing.
  mews::Result<void> send(mews::Channel& channel) {
    const auto kind = between(random_, 0, 9);
    if (kind < 2 && !kept_.empty()) return forward(channel);
    return send_batch(channel, kind < 5 ? between(random_, 2, 6) : 1);
  }

  /// Lends up to `count` letters and sends as many as the lane takes.
  mews::Result<void> send_batch(mews::Channel& channel, std::uint64_t count,
                                std::size_t (*size)(Random&) = random_size) {
    std::vector<mews::Loan> loans;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto loan = channel.try_loan(size(random_));
      if (!loan) break;
      write_letter(loan->bytes(), out_ + i, random_);
      loans.push_back(std::move(*loan));
    }
    if (loans.empty()) return {};
    return publish(loans.size(), [&] { return channel.try_send_batch(loans); });
  }

 private:
  mews::Result<void> forward(mews::Channel& channel) {
    auto loan = std::move(kept_.front()).into_loan();
    kept_.pop_front();
    readdress(loan.bytes(), out_);
    return publish(1, [&]() -> mews::Result<std::size_t> {
      auto sent = channel.try_send(std::move(loan));
      if (!sent) return tl::unexpected(std::move(sent.error()));
      return 1;
    });
  }

  /// `send` sends up to `count` letters; none because there is no room is no error.
  template <class Send>
  mews::Result<void> publish(std::uint64_t count, Send&& send) {
    if (life_ != nullptr) life_->note_begun(out_ + count);
    const auto sent = send();
    if (sent) out_ += *sent;
    if (life_ != nullptr) life_->note_published(out_);
    if (sent || sent.error().code() == mews::ErrorCode::would_block) return {};
    return tl::unexpected(sent.error());
  }

  Random random_;
  Life* life_;
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
  std::deque<mews::Message> kept_;
};

}  // namespace mews_test::chaos
