// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::ring {

/// How much may be on its way on a lane in slabs: from when it is sent until the lane's reader has
/// taken it.
struct WindowLimits {
  std::uint64_t bytes = std::uint64_t{8} << 20;
  /// So many slabs may be on their way, however large they are. At least 1.
  std::uint32_t slabs = 2;
};

/// The sender's account of it.
///
/// A lane has room for a thousand records, so without a limit a fast sender has gigabytes on their
/// way: each slab is new memory, and all of them have left every cache when the reader comes to
/// them. (Measured, a stream of 10 MiB messages: 16 GB/s without a limit, 62 with 8 MiB.) 8 MiB fit
/// the last-level cache and keep both sides at work; above some MiB one slab to write, one to read
/// and two on their way do that (with one on its way, a stream of which the header alone is touched
/// carries a quarter less).
///
/// The records sent are divided into parts of an eighth of the window or more, of which it keeps
/// the end: a position in the lane. When the reader's head has passed that, its bytes are credit
/// again. It looks at the head only when the credit is used up.
///
/// Payloads of less than `kSmallBytes` are not counted: the lane is limit enough for these. So
/// small messages are not kept waiting by large ones before them.
///
/// Private to the sender; one thread at a time.
class SlabWindow {
 public:
  static constexpr std::uint64_t kSmallBytes = 16u << 10;

  /// Limits of zero count as one.
  explicit SlabWindow(const WindowLimits& limits) noexcept
      : bytes_(std::max<std::uint64_t>(limits.bytes, 1)),
        most_each_((bytes_ - 1) / std::max(limits.slabs, 1u) + 1),
        credit_(bytes_) {}

  /// Returns whether a payload of `bytes` may be sent, by the head seen last.
  [[nodiscard]] bool is_open(std::uint64_t bytes) const noexcept {
    return bytes < kSmallBytes || credit_ > 0;
  }

  /// A payload of `bytes` was sent; `end` is the position behind its record.
  void charge(std::uint64_t bytes, std::uint64_t end) noexcept {
    if (bytes < kSmallBytes) return;
    const auto charged = std::min({bytes, most_each_, credit_});
    credit_ -= charged;
    // The last part grows until it is an eighth: its end moves on, and its bytes come back with it.
    if (count_ == 0 || last().bytes >= bytes_ / 8) {
      ++count_;
      last() = {};
    }
    last() = {.end = end, .bytes = last().bytes + charged};
  }

  /// The reader has gone on to `head`.
  void credit(std::uint64_t head) noexcept {
    while (count_ > 0 && head >= parts_[first_].end) {
      credit_ += parts_[first_].bytes;
      first_ = (first_ + 1) % kParts;
      --count_;
    }
  }

  /// Returns the bytes on their way, each slab counted as `bytes / slabs` at most.
  [[nodiscard]] std::uint64_t used() const noexcept { return bytes_ - credit_; }
  [[nodiscard]] std::uint64_t limit() const noexcept { return bytes_; }

 private:
  /// One more than the eighths: the last one is not full.
  static constexpr std::size_t kParts = 16;
  struct Part {
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;
  };

  [[nodiscard]] Part& last() noexcept { return parts_[(first_ + count_ - 1) % kParts]; }

  std::uint64_t bytes_;
  std::uint64_t most_each_;  ///< bytes charged for a slab
  std::uint64_t credit_;
  std::array<Part, kParts> parts_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace mews::inline MEWS_LAYOUT::ring
