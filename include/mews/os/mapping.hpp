// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "mews/error.hpp"
#include "mews/os/memory_file.hpp"

namespace mews::os {

/// A `MemoryFile` mapped whole, readable and writable, at an address of the kernel's choice.
/// A child made by `fork` does not have it (MADV_DONTFORK), and destroying it there does nothing.
class Mapping {
 public:
  /// Maps `bytes` from the file's start. `bad_geometry` when the file is shorter than that.
  [[nodiscard]] static Result<Mapping> map(const MemoryFile& file, std::uint64_t bytes);
  Mapping(Mapping&&) noexcept;
  Mapping& operator=(Mapping&&) noexcept;
  ~Mapping();

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  struct Region;  // keeps Boost.Interprocess out of the headers
  struct Unmap {
    void operator()(Region* region) const noexcept;
  };
  using RegionPtr = std::unique_ptr<Region, Unmap>;
  Mapping(RegionPtr region, std::span<std::byte> bytes) noexcept;
  RegionPtr region_;
  std::span<std::byte> bytes_;
};

/// Puts memory behind `range` of a shared mapping now, so that no later access can fail:
/// `out_of_memory` where there is none (the file system's limit, say); a part of the range may have
/// got memory then, which `discard_pages` gives back. Idempotent; content is kept. `file` is the
/// mapping's file and `offset` where the range begins in it. Costs about 2.4 microseconds for each
/// page that was untouched (measured on a virtual machine).
[[nodiscard]] Result<void> commit_pages(const MemoryFile& file, std::uint64_t offset,
                                        std::span<std::byte> range);

/// Gives the memory behind `bytes` of the file from `offset` on back to the system; it reads as
/// zeroes from then on. Never fails: at worst the memory stays. Costs about 0.6 microseconds a page
/// (measured).
void discard_pages(const MemoryFile& file, std::uint64_t offset, std::uint64_t bytes) noexcept;

}  // namespace mews::os
