// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "mews/base/atomic.hpp"
#include "mews/error.hpp"
#include "mews/layout/call_id.hpp"
#include "mews/message.hpp"
#include "mews/sync/lock.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// One end of a stream: the pieces that have come and were not received, and what this end may
/// send. The lead puts in what comes, the stream's threads take out and send; all with the mutex.
/// What a thread waits for is also told by words of its own, which a waiter reads without it.
///
/// word                          writer       readers   publish / observe      protects
/// is_readable, is_writable, ..  mutex        a waiter  seq_cst, see `Lead`    nothing: "look"
///
/// Of a piece the sender keeps the size until it is confirmed. So a confirmation is a number of
/// pieces, and both ends count the same bytes against the window.
struct StreamEnd {
  StreamEnd(bool opens, std::uint32_t stream_type, std::uint64_t own_window) noexcept
      : is_opener(opens), type(stream_type), window(own_window) {}

  const bool is_opener;
  const std::uint32_t type;
  const std::uint64_t window;  ///< bytes that the other end may have sent unconfirmed
  layout::CallId id;           ///< as this end sends it; written once, before others see this

  base::LocalAtomic<bool> is_readable{false};
  base::LocalAtomic<bool> is_writable{false};
  base::LocalAtomic<bool> is_accepted{false};
  base::LocalAtomic<bool> is_decided{false};  ///< accepted, or over
  base::LocalAtomic<bool> is_over{false};     ///< also in good order

  /// A function for an event loop.
  struct Watch {
    base::LocalAtomic<bool> is_set{false};
    std::function<void()> done;  ///< the link's mutex
  };
  Watch on_readable;
  Watch on_writable;
  Watch on_over;

  sync::Mutex mutex;
  // Mutex, all that follows. Sending:
  std::array<std::uint64_t, layout::kStreamPieces> sent{};  ///< sizes of those not confirmed
  std::uint32_t sent_begin = 0;
  std::uint32_t sent_count = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t their_window = 0;
  bool has_finished = false;
  // Receiving:
  std::array<Message, layout::kStreamPieces> pieces{};
  std::uint32_t pieces_begin = 0;
  std::uint32_t pieces_count = 0;
  std::uint64_t pieces_bytes = 0;
  std::uint32_t consumed = 0;  ///< received and not confirmed yet
  std::uint64_t consumed_bytes = 0;
  bool have_they_finished = false;
  // The end:
  std::optional<Error> error;  ///< not in good order, and why
  bool is_left = false;        ///< this end has given its slot up

  [[nodiscard]] bool may_send() const noexcept {
    // Up to the window, not within it: a piece may be larger.
    return sent_count < layout::kStreamPieces && sent_bytes < their_window;
  }
  [[nodiscard]] bool have_both_finished() const noexcept {
    return has_finished && have_they_finished;
  }

  // What comes. Each returns what is wrong with it, or nothing.
  [[nodiscard]] const char* take_accept(std::uint64_t bytes) noexcept {
    // Relaxed: mutex.
    if (is_accepted.load(std::memory_order_relaxed)) return "a stream accepted twice";
    their_window = bytes;
    is_accepted.store(true, std::memory_order_seq_cst);
    tell();
    return nullptr;
  }
  [[nodiscard]] const char* take_data(Message&& piece) noexcept {
    if (have_they_finished) return "data of a stream after its end";
    if (piece.size() == 0) return "an empty piece of a stream";
    if (consumed + pieces_count == layout::kStreamPieces) return "a piece more than a stream may";
    if (consumed_bytes + pieces_bytes >= window) return "data beyond a stream's window";
    if (error || is_left) {
      // It counts nevertheless: this end confirms nothing more.
      ++consumed;
      consumed_bytes += piece.size();
      piece = Message();
      return nullptr;
    }
    pieces_bytes += piece.size();
    pieces[(pieces_begin + pieces_count++) % layout::kStreamPieces] = std::move(piece);
    tell();
    return nullptr;
  }
  [[nodiscard]] const char* take_finish() noexcept {
    if (have_they_finished) return "a second end of a stream";
    have_they_finished = true;
    tell();
    return nullptr;
  }
  [[nodiscard]] const char* take_window(std::uint32_t count) noexcept {
    if (count == 0 || count > sent_count) return "a confirmation of more than was sent";
    for (; count > 0; --count) {
      sent_bytes -= sent[sent_begin];
      sent_begin = (sent_begin + 1) % layout::kStreamPieces;
      --sent_count;
    }
    tell();
    return nullptr;
  }
  void take_end(Error why) noexcept {
    if (!error && !have_both_finished()) error = std::move(why);
    tell();
  }

  // What goes.
  void note_sent(std::uint64_t bytes) noexcept {
    sent[(sent_begin + sent_count++) % layout::kStreamPieces] = bytes;
    sent_bytes += bytes;
    tell();
  }
  [[nodiscard]] Message pop() noexcept {
    Message piece = std::move(pieces[pieces_begin]);
    pieces_begin = (pieces_begin + 1) % layout::kStreamPieces;
    --pieces_count;
    pieces_bytes -= piece.size();
    ++consumed;
    consumed_bytes += piece.size();
    tell();
    return piece;
  }
  /// Returns the number of pieces to be confirmed now. A sender that waits has 6 pieces out, or a
  /// whole window: once all of that is consumed, one of the two is confirmed.
  [[nodiscard]] std::uint32_t take_confirmed() noexcept {
    if (have_they_finished || error || is_left) return 0;
    if (consumed < layout::kStreamConfirmed && consumed_bytes < window) return 0;
    consumed_bytes = 0;
    return std::exchange(consumed, 0);
  }
  /// Drops what was not received.
  void drop_pieces() noexcept {
    while (pieces_count > 0)
      (void)pop();
  }

  /// Returns why it was not accepted, if so.
  [[nodiscard]] Result<void> refusal() {
    const std::lock_guard lock(mutex);
    if (is_accepted.load(std::memory_order_relaxed) || !error) return {};
    return tl::unexpected(*error);
  }
  /// Returns why it is not over in good order, if so.
  [[nodiscard]] Result<void> failure() {
    const std::lock_guard lock(mutex);
    if (!error) return {};
    return tl::unexpected(*error);
  }

  /// seq_cst, all: before the look for waiters, see `Lead`.
  void tell() noexcept {
    const bool has_ended = error.has_value() || have_both_finished();
    is_readable.store(pieces_count > 0 || have_they_finished || error, std::memory_order_seq_cst);
    is_writable.store(error || has_finished || may_send(), std::memory_order_seq_cst);
    is_decided.store(has_ended || is_accepted.load(std::memory_order_relaxed),
                     std::memory_order_seq_cst);
    is_over.store(has_ended, std::memory_order_seq_cst);
  }
};

}  // namespace mews::inline MEWS_LAYOUT::detail
