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

/// A process with its end of a channel, as the library has them: its sending, receiving, waiting
/// and taking back are what runs here. It never spins.
class Process {
 public:
  /// `peer` is the process; `plugin` the plugin whose channel it is.
  Process(TinyArena& tiny, Words& words, int peer, int plugin);

  /// A new session and channel. Whatever the old ones had is forgotten, not given back.
  void reset();

  [[nodiscard]] detail::PeerContext& session() noexcept { return *session_; }
  [[nodiscard]] detail::ChannelCore& channel() noexcept { return *channel_; }
  [[nodiscard]] int peer() const noexcept { return peer_; }

  /// Memory for a message. Blocks; nothing where the other end has died.
  [[nodiscard]] std::optional<Loan> loan(std::size_t bytes);
  /// A message that says `correlation` in its first and last word. Blocks; false where the other
  /// end has died, or the channel is closed.
  bool send(std::uint64_t correlation, std::size_t bytes);
  /// The next message, or why there is none. Blocks. The message is checked.
  [[nodiscard]] Result<Message> receive();
  /// Again, for a message that was kept meanwhile: it is still what it was, and this peer's.
  void expect_intact(const Message& message);

  /// What the watcher of this process does once the kernel says that the other end is gone.
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

/// A message that says `correlation`, written where its first and last word go.
void write_payload(Loan& loan, std::uint64_t correlation);

/// How a process ends that is expected to: the codes that `receive` and `send` may end with.
[[nodiscard]] bool is_end(ErrorCode code);

}  // namespace mews::model
