// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "mews/base/assert.hpp"
#include "mews/base/visible.hpp"
#include "mews/layout/limits.hpp"
#include "mews/mem/slab.hpp"

namespace MEWS_VISIBLE mews {

namespace detail {
class SessionCore;
class ChannelCore;
/// Gives a slab back to its arena and wakes who waits for one.
void release_slab(SessionCore& core, const mem::Slab& slab) noexcept;

/// A payload of either kind: up to 480 bytes in the object itself, larger ones in a slab.
class Payload {
 public:
  // Written out: a defaulted one would have the object zeroed first, buffer and all.
  Payload() noexcept {}  // NOLINT(modernize-use-equals-default)
  Payload(Payload&& other) noexcept { take(other); }
  Payload& operator=(Payload&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~Payload() { reset(); }

  void reset() noexcept {
    if (slab_.count != 0) release_slab(*core_, slab_);
    forget();
  }
  /// The slab, if any, is somebody else's to release now.
  void forget() noexcept {
    slab_.count = 0;
    bytes_ = 0;
    is_valid_ = false;
  }

  void become_inline(std::size_t bytes) noexcept {
    bytes_ = bytes;
    is_valid_ = true;
  }
  /// `slab()` has been filled in.
  void become_slab(SessionCore& core, std::size_t bytes) noexcept {
    core_ = &core;
    bytes_ = bytes;
    is_valid_ = true;
  }

  [[nodiscard]] bool is_valid() const noexcept { return is_valid_; }
  [[nodiscard]] bool is_inline() const noexcept { return slab_.count == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
  void set_size(std::size_t bytes) noexcept { bytes_ = bytes; }
  [[nodiscard]] std::byte* data() noexcept { return is_inline() ? inline_.data() : slab_.data; }
  [[nodiscard]] const std::byte* data() const noexcept {
    return is_inline() ? inline_.data() : slab_.data;
  }
  [[nodiscard]] std::span<std::byte, layout::kMaxInlineBytes> inline_buffer() noexcept {
    return inline_;
  }
  [[nodiscard]] mem::Slab& slab() noexcept { return slab_; }
  [[nodiscard]] SessionCore* core() const noexcept { return core_; }

 private:
  void take(Payload& other) noexcept {
    core_ = other.core_;
    slab_ = other.slab_;
    bytes_ = other.bytes_;
    is_valid_ = other.is_valid_;
    if (other.is_inline() && bytes_ != 0) std::memcpy(inline_.data(), other.inline_.data(), bytes_);
    other.forget();
  }

  SessionCore* core_ = nullptr;
  mem::Slab slab_{};
  std::size_t bytes_ = 0;
  bool is_valid_ = false;
  // Uninitialised on purpose: only the first `bytes_` are ever read.
  alignas(16) std::array<std::byte, layout::kMaxInlineBytes> inline_;
};

}  // namespace detail

/// Writable memory for one message, got from `Channel::loan` or `Message::into_loan`, given up by
/// `Channel::send`. Dropped unsent, it goes back to the arena.
///
/// Up to 480 bytes it is a buffer in the object itself, aligned to 16 bytes; above that, memory of
/// the arena, aligned to at least 64 bytes. Any number may be held, in any order. Move-only; one
/// thread at a time. It stays usable after its channel is closed; when its process dies the host
/// takes it back.
class Loan {
 public:
  Loan() noexcept {}  // NOLINT(modernize-use-equals-default): see Payload

  /// The bytes to write; uninitialised. Valid until the loan is sent, moved or dropped.
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {payload_.data(), payload_.size()}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {payload_.data(), payload_.size()};
  }
  [[nodiscard]] std::size_t size() const noexcept { return payload_.size(); }
  /// False once sent, moved from, or never made.
  [[nodiscard]] bool is_valid() const noexcept { return payload_.is_valid(); }

  /// Keeps only the first `bytes` (at most `size()`): what was really written.
  void shrink(std::size_t bytes) noexcept {
    MEWS_ASSERT(bytes <= payload_.size(), "Loan::shrink: more than the loan's size");
    payload_.set_size(bytes);
  }

 private:
  friend class detail::ChannelCore;
  friend class Message;
  detail::Payload payload_;
};

}  // namespace mews
