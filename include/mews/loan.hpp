// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "mews/base/assert.hpp"
#include "mews/base/block_cache.hpp"
#include "mews/base/lifetime.hpp"
#include "mews/base/visible.hpp"
#include "mews/detail/peer_context.hpp"
#include "mews/error.hpp"
#include "mews/layout/limits.hpp"
#include "mews/mem/slab.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

namespace detail {
class ChannelCore;
/// Returns the error for a payload of `bytes` at `data` that cannot hold the object; null: it is
/// empty.
[[nodiscard]] MEWS_VISIBLE Error misfit(const std::byte* data, std::size_t bytes,
                                        std::size_t object_bytes,
                                        std::size_t object_alignment) noexcept;

static_assert(layout::kMaxInlineBytes <= base::kBlockBytes);

/// A payload of either kind: up to 480 bytes in a block of private memory, larger ones in a slab.
/// Its bytes stay where they are when it is moved.
class Payload {
 public:
  Payload() noexcept = default;
  Payload(Payload&& other) noexcept
      : data_(other.data_), bytes_(other.bytes_), core_(other.core_), slab_(other.slab_) {
    other.forget();
  }
  Payload& operator=(Payload&& other) noexcept {
    if (this != &other) {
      reset();
      data_ = other.data_;
      bytes_ = other.bytes_;
      core_ = other.core_;
      slab_ = other.slab_;
      other.forget();
    }
    return *this;
  }
  ~Payload() { reset(); }

  void reset() noexcept {
    if (slab_.count != 0) {
      core_->release(slab_);
    } else if (data_ != nullptr) {
      base::put_block(data_);
    }
    forget();
  }
  /// Gives up the slab, if any, without a release: another owner has it now. Not for a block, which
  /// would be lost.
  void forget() noexcept {
    slab_.count = 0;
    bytes_ = 0;
    data_ = nullptr;
  }

  void become_inline(std::byte* block, std::size_t bytes) noexcept {
    data_ = block;
    bytes_ = bytes;
  }
  /// Comes after `slab()` was filled in.
  void become_slab(PeerContext& core, std::size_t bytes) noexcept {
    data_ = slab_.data;
    bytes_ = bytes;
    core_ = &core;
  }

  [[nodiscard]] bool is_valid() const noexcept { return data_ != nullptr; }
  [[nodiscard]] bool is_inline() const noexcept { return slab_.count == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
  void set_size(std::size_t bytes) noexcept { bytes_ = bytes; }
  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] mem::Slab& slab() noexcept { return slab_; }
  [[nodiscard]] PeerContext* core() const noexcept { return core_; }

 private:
  std::byte* data_ = nullptr;  ///< null: no payload
  std::size_t bytes_ = 0;
  PeerContext* core_ = nullptr;  ///< of a slab
  mem::Slab slab_{};             ///< no slabs: the payload is in a block
};

}  // namespace detail

/// Writable memory for one message, from `Channel::loan` or `Message::into_loan`; `Channel::send`
/// consumes it. Dropped unsent, it goes back to where it came from.
///
/// Up to 480 bytes it is private memory, which sending copies; above that, memory of the arena. Of
/// either kind it is aligned to at least 64 bytes, or as `Channel::loan` was asked. Any number may
/// be held, in any order. Move-only, cheap to move; one thread at a time, not always the same. It
/// stays usable after its channel is closed; when its process dies the host reclaims it.
class Loan {
 public:
  Loan() noexcept = default;

  /// The bytes to write; uninitialised. Valid until the loan is sent or dropped, also while it is
  /// moved from one object to another.
  [[nodiscard]] std::span<std::byte> bytes() noexcept MEWS_LIFETIMEBOUND {
    return {payload_.data(), payload_.size()};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept MEWS_LIFETIMEBOUND {
    return {payload_.data(), payload_.size()};
  }
  [[nodiscard]] std::size_t size() const noexcept { return payload_.size(); }
  /// False once sent, moved from, or never made.
  [[nodiscard]] bool is_valid() const noexcept { return payload_.is_valid(); }

  /// Keeps only the first `bytes` (at most `size()`): those really written.
  void shrink(std::size_t bytes) noexcept {
    MEWS_ASSERT(bytes <= payload_.size(), "Loan::shrink: more than the loan's size");
    payload_.set_size(bytes);
  }

  /// Makes an object of `args` at the loan's first byte, in parentheses where `T` has such a
  /// constructor, otherwise in braces. It lives in the loan's bytes: valid as they are, never
  /// destroyed. `invalid_argument` when the loan is empty or shorter than `T`, or not aligned for
  /// it: types aligned to more than 64 bytes need a loan with that alignment. For another process
  /// to read it with `Message::value`, the loan must be as long as `T`.
  template <class T, class... Args>
  [[nodiscard]] Result<T*> emplace(Args&&... args) MEWS_LIFETIMEBOUND {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>,
                  "what another process reads is its bytes alone");
    auto* const at = payload_.data();
    if (size() < sizeof(T) || reinterpret_cast<std::uintptr_t>(at) % alignof(T) != 0 ||
        at == nullptr) {
      return tl::unexpected(detail::misfit(at, size(), sizeof(T), alignof(T)));
    }
    if constexpr (std::is_constructible_v<T, Args...>) {
      return ::new (static_cast<void*>(at)) T(std::forward<Args>(args)...);
    } else {
      return ::new (static_cast<void*>(at)) T{std::forward<Args>(args)...};
    }
  }

 private:
  friend class detail::ChannelCore;
  friend class Message;
  detail::Payload payload_;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
