// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/os/memory_file.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// This process's rights to memory that it has mapped.
enum class Access : std::uint8_t { none, read, write };

/// A `MemoryFile` mapped at an address of the kernel's choice. A child made by `fork` does not
/// have it (MADV_DONTFORK), and destroying it there does nothing.
///
/// It stays sparse under any lock: a mapping that is reserved first needs no memory under
/// `mlockall(MCL_FUTURE)`, and a part that is not allowed needs none under a later
/// `mlockall(MCL_CURRENT)`.
class Mapping {
 public:
  /// Maps `bytes` from the file's start, readable and writable. `bad_geometry` when the file is
  /// shorter; `out_of_memory` without address space, or when the mapping must be locked (mlockall)
  /// and the limit of locked memory forbids it.
  [[nodiscard]] static Result<Mapping> map(const MemoryFile& file, std::uint64_t bytes);
  /// The same, but without any access yet.
  [[nodiscard]] static Result<Mapping> reserve(const MemoryFile& file, std::uint64_t bytes);
  Mapping(Mapping&&) noexcept;
  Mapping& operator=(Mapping&&) noexcept;
  ~Mapping();

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

  /// Changes the access to `bytes` from `offset` on, and to all of the system's pages that these
  /// lie on. Any thread. Holds at once, also for other threads.
  [[nodiscard]] Result<void> allow(std::uint64_t offset, std::uint64_t bytes, Access access) const;
  /// Includes `bytes` from `offset` on, to whole pages of the system, in core dumps of this
  /// process. All else stays out of them: a dump would bring all unused pages into being.
  void show_in_dumps(std::uint64_t offset, std::uint64_t bytes) const noexcept;

 private:
  explicit Mapping(std::span<std::byte> bytes) noexcept;
  void unmap() noexcept;

  std::span<std::byte> bytes_;
  pid_t mapped_by_;
};

/// Puts memory behind `range` of a shared mapping now, so that no later access can fail; in steps
/// of a mebibyte, at least one, until the deadline has passed. Returns the number of bytes, from
/// the range's start on, that have memory.
///
/// `out_of_memory` where there is none (the file system's limit, say); a part of the range may have
/// got memory then, which `discard_pages` gives back. Idempotent; content is kept. `file` is the
/// mapping's file and `offset` the range's start in it; the range must be writable. Costs about 2.4
/// microseconds for each untouched page (measured on a virtual machine).
[[nodiscard]] Result<std::uint64_t> commit_pages(const MemoryFile& file, std::uint64_t offset,
                                                 std::span<std::byte> range,
                                                 Deadline deadline = forever);

/// Gives the memory behind `bytes` of the file from `offset` on back to the system; these bytes
/// read as zeroes from then on. Never fails: at worst the memory stays. Costs about 0.6
/// microseconds a page (measured).
void discard_pages(const MemoryFile& file, std::uint64_t offset, std::uint64_t bytes) noexcept;

}  // namespace mews::inline MEWS_LAYOUT::os
