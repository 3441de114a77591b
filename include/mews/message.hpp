// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mews/base/visible.hpp"
#include "mews/loan.hpp"
#include "mews/options.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

namespace detail {

template <class T>
[[nodiscard]] Result<T> value_of(std::span<const std::byte> bytes) {
  static_assert(std::is_trivially_copyable_v<T>, "only bytes come from another process");
  if (bytes.size() != sizeof(T) || bytes.data() == nullptr) {
    return tl::unexpected(misfit(bytes.data(), bytes.size(), sizeof(T), 1));
  }
  alignas(T) std::byte copy[sizeof(T)];
  std::memcpy(copy, bytes.data(), sizeof(T));
  return *std::launder(reinterpret_cast<T*>(copy));
}

}  // namespace detail

/// A received message; owns its payload.
///
/// Up to 480 bytes are copied to private memory, more are viewed where the sender wrote them, in
/// the arena: nothing is copied. They stay valid, and in place, as long as the message lives:
/// however often it is moved and however many others come and go, after its channel is closed and
/// after its sender has died. Dropped, it goes back to where it came from. Move-only, cheap to
/// move; one thread at a time, not always the same. Aligned like a loan.
///
/// A correct sender does not write there any more, but nothing stops an incorrect one: a program
/// that must not be misled copies the bytes, checks the copy and uses that. Up to 480 bytes are a
/// copy already.
class Message {
 public:
  Message() noexcept = default;

  /// Valid as long as the message, or a loan or message that it was moved to: do not keep the bytes
  /// of a temporary, as in `auto text = channel.receive()->text()`.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept MEWS_LIFETIMEBOUND {
    return {payload_.data(), payload_.size()};
  }
  /// The payload as characters; valid as `bytes`.
  [[nodiscard]] std::string_view text() const noexcept MEWS_LIFETIMEBOUND {
    return {reinterpret_cast<const char*>(payload_.data()), payload_.size()};
  }
  /// Returns a copy of the payload as a `T`, of any alignment. `invalid_argument` when it does not
  /// have exactly as many bytes, or the message is empty. The sender decides on the bits: check a
  /// bool, an enumerator or an index before you trust it.
  template <class T>
  [[nodiscard]] Result<T> value() const {
    return detail::value_of<T>(bytes());
  }
  [[nodiscard]] std::size_t size() const noexcept { return payload_.size(); }
  [[nodiscard]] std::uint32_t type() const noexcept { return envelope_.type; }
  [[nodiscard]] std::uint64_t correlation() const noexcept { return envelope_.correlation; }
  [[nodiscard]] Envelope envelope() const noexcept { return envelope_; }

  /// Returns the same memory as a loan: to change it and send it on, to any channel of the same
  /// session, without a copy. This message is empty afterwards.
  [[nodiscard]] Loan into_loan() && noexcept {
    Loan loan;
    loan.payload_ = std::move(payload_);
    return loan;
  }

 private:
  friend class detail::ChannelCore;
  detail::Payload payload_;
  Envelope envelope_;
};

/// A message lent in place by `Channel::receive_batch`; its bytes are valid within the visit. Up to
/// 480 bytes are viewed in the lane, aligned to 32 bytes, where a wrong sender may still write;
/// more, in the arena, are aligned as the sender's loan.
struct MessageView {
  std::span<const std::byte> bytes;
  Envelope envelope;

  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// As `Message::value`.
  template <class T>
  [[nodiscard]] Result<T> value() const {
    return detail::value_of<T>(bytes);
  }
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
