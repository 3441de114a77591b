// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "mews/error.hpp"
#include "mews/os/memory_file.hpp"
#include "mews/os/private_fd.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// A name in /dev/shm that this process owns, by a lock (F_OFD_SETLK) on the memory itself. The
/// lock belongs to an open file description that no other process gets, neither a plugin nor a
/// forked child: it goes with this process, however that ends, and holds wherever the memory is
/// visible.
///
/// A program that may open the memory may also lock it: the same user's programs are trusted with
/// that.
class NamedMemory {
 public:
  /// Makes this process the owner of the name, with zeroed memory of `bytes` under it. The memory
  /// of a dead owner is replaced, in one step. Of several that try at once, one wins.
  /// `already_exists` (a living process owns it), `permission_denied` (another user's), `os_error`.
  [[nodiscard]] static Result<NamedMemory> own(const std::string& name, std::uint64_t bytes);
  /// Returns whether a living process owns the memory behind a name. Locks nothing, not even for a
  /// moment.
  [[nodiscard]] static bool is_owned(const MemoryFile& file) noexcept;

  NamedMemory() noexcept = default;
  NamedMemory(NamedMemory&&) noexcept = default;
  NamedMemory& operator=(NamedMemory&& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  /// Removes the name, and then gives up the lock. In a forked child: nothing.
  ~NamedMemory();

  /// Returns the memory, by a description of its own, which may be passed on. Once.
  [[nodiscard]] MemoryFile take_file() noexcept { return std::move(file_); }

 private:
  NamedMemory(std::string name, PrivateFd lock, MemoryFile file) noexcept
      : name_(std::move(name)), lock_(std::move(lock)), file_(std::move(file)) {}

  std::string name_;
  PrivateFd lock_;
  MemoryFile file_;
};

}  // namespace mews::inline MEWS_LAYOUT::os
