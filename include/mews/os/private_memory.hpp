// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Zeroed memory of this process alone, for a large table with few entries in use: a page of it
/// costs nothing until it is written to, not even under `mlockall(MCL_FUTURE)`. Move-only.
class PrivateMemory {
 public:
  /// `out_of_memory` without address space, or at the limit of locked memory.
  [[nodiscard]] static Result<PrivateMemory> make(std::uint64_t bytes);
  PrivateMemory(PrivateMemory&& other) noexcept;
  PrivateMemory& operator=(PrivateMemory&& other) noexcept;
  ~PrivateMemory();

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  explicit PrivateMemory(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}

  std::span<std::byte> bytes_;
};

}  // namespace mews::inline MEWS_LAYOUT::os
