// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "core/recovery.hpp"
#include "mews/detail/channel_fast.hpp"
#include "model/tiny_arena.hpp"

namespace mews::model {

/// A payload that needs a slab, and one that fills a record of the most cells.
inline constexpr std::size_t kSlabBytes = layout::kMaxInlineBytes + 8;
inline constexpr std::size_t kMostInlineBytes = layout::kMaxInlineBytes;

/// What a signal to the host's event loop does; null: nobody sleeps there.
inline void (*wake_model)() = nullptr;

/// A process with its end of a channel. The library's own sending, receiving, waiting and taking
/// back run here. It never spins.
class Process {
 public:
  /// `peer` is the process; `plugin` the plugin whose channel it is.
  Process(TinyArena& tiny, Words& words, int peer, int plugin);

  /// Makes a new session and channel. The slabs of the old ones are forgotten, not given back.
  void reset();

  [[nodiscard]] detail::PeerContext& session() noexcept { return *session_; }
  [[nodiscard]] detail::ChannelCore& channel() noexcept { return *channel_; }
  [[nodiscard]] int peer() const noexcept { return peer_; }

  /// Memory for a message. Blocks; nothing where the other end has died.
  [[nodiscard]] std::optional<Loan> loan(std::size_t bytes);
  /// A message that says `correlation` in its first and last word. Blocks; false where the other
  /// end has died, or the channel is closed.
  bool send(std::uint64_t correlation, std::size_t bytes);
  /// Returns the next message, checked, or the reason why there is none. Blocks.
  [[nodiscard]] Result<Message> receive();
  /// Checks a kept message again: its bytes are unchanged, and its slab is still this peer's.
  void expect_intact(const Message& message);

  /// Does the work of this process's watcher once the kernel says that the other end is gone.
  void on_death();

  /// For `verify`: nothing is left to be received.
  void expect_all_received();

 private:
  TinyArena& tiny_;
  int peer_;
  int plugin_;
  std::optional<detail::PeerContext> session_;
  std::optional<detail::ChannelCore> channel_;
};

/// Writes `correlation` to the first and the last word of a message.
void write_payload(Loan& loan, std::uint64_t correlation);

/// The codes with which `receive` and `send` may end when a process ends as expected.
[[nodiscard]] bool is_end(ErrorCode code);

}  // namespace mews::model
