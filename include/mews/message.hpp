// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "mews/base/visible.hpp"
#include "mews/loan.hpp"
#include "mews/options.hpp"

namespace MEWS_VISIBLE mews {

/// A received message; owns its payload.
///
/// Up to 480 bytes lie in the object itself, more are viewed where the sender wrote them, in the
/// arena: nothing is copied. They stay valid as long as the message lives, however many others
/// come and go, after its channel is closed and after its sender has died. Dropped, it goes back
/// to the arena. Move-only; one thread at a time. Aligned like a loan.
///
/// A correct sender does not write there any more, but nothing stops one that is not: whoever must
/// not be misled copies what it checks and then uses the copy. What lies in the object itself is a
/// copy already.
class Message {
 public:
  Message() noexcept {}  // NOLINT(modernize-use-equals-default): see Payload

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {payload_.data(), payload_.size()};
  }
  /// The payload as characters.
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(payload_.data()), payload_.size()};
  }
  [[nodiscard]] std::size_t size() const noexcept { return payload_.size(); }
  [[nodiscard]] std::uint32_t type() const noexcept { return envelope_.type; }
  [[nodiscard]] std::uint64_t correlation() const noexcept { return envelope_.correlation; }
  [[nodiscard]] Envelope envelope() const noexcept { return envelope_; }

  /// The same memory as a loan: to change it and send it on, to any channel of the same session,
  /// without a copy. This message is empty afterwards.
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

/// A message lent in place by `Channel::receive_batch`; its bytes are valid within the visit.
struct MessageView {
  std::span<const std::byte> bytes;
  Envelope envelope;
};

}  // namespace mews
