// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Returns the error for creating a name on a system without a place for it (ENOENT).
[[nodiscard]] Error no_shm_error();

/// A descriptor of memory that processes can share: anonymous (memfd) or named (POSIX).
///
/// Sparse: its size is a limit, it gets memory page by page (`commit_pages`). Only anonymous memory
/// can be sealed; a process that may open a named one can also truncate it, and then accesses fail
/// with SIGBUS. Names have 1 to 200 characters and no '/', otherwise `invalid_argument`.
class MemoryFile {
 public:
  /// No memory.
  MemoryFile() noexcept = default;
  /// Makes zeroed, sparse memory without a name in any file system, sealed against growing,
  /// shrinking and further seals: no process can make another's access fail. Close-on-exec.
  [[nodiscard]] static Result<MemoryFile> create_anonymous(const std::string& label,
                                                           std::uint64_t bytes);
  /// Opens the existing memory at /dev/shm/`name`, which `NamedMemory` makes: `no_such_arena`, or
  /// `permission_denied` (also when it is another user's, whatever its mode allows).
  [[nodiscard]] static Result<MemoryFile> open_named(const std::string& name);
  /// Removes the name; processes that have it open keep the memory. Missing is not an error.
  static void unlink_named(const std::string& name) noexcept;
  /// Owns a descriptor that came from another process.
  [[nodiscard]] static MemoryFile adopt(UniqueFd fd) noexcept { return MemoryFile(std::move(fd)); }

  /// Returns its size in bytes now.
  [[nodiscard]] Result<std::uint64_t> bytes() const;
  /// Returns whether both are descriptors of the same memory.
  [[nodiscard]] bool is_same_as(const MemoryFile& other) const noexcept;
  /// Returns whether the seals against growing and shrinking are set.
  [[nodiscard]] bool is_sealed() const noexcept;
  /// Returns the bytes of physical memory behind it, in all processes together.
  [[nodiscard]] Result<std::uint64_t> resident_bytes() const;
  /// Returns the first byte from `offset` on that has memory behind it, to the page; the largest
  /// number when there is none; `offset` itself where the system cannot tell. Pages that were never
  /// written to may count as without memory.
  [[nodiscard]] std::uint64_t next_data(std::uint64_t offset) const noexcept;
  /// Returns the first byte from `offset` on without memory behind it; likewise the largest number.
  [[nodiscard]] std::uint64_t next_hole(std::uint64_t offset) const noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  explicit MemoryFile(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace mews::inline MEWS_LAYOUT::os
