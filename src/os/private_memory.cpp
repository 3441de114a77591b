// SPDX-License-Identifier: MIT
#include "mews/os/private_memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

namespace mews::inline MEWS_LAYOUT::os {

Result<PrivateMemory> PrivateMemory::make(std::uint64_t bytes) {
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  // Unlocked while no access is allowed: nothing is populated, before or afterwards.
  void* const begin = ::mmap(nullptr, bytes, PROT_NONE, flags, -1, 0);
  if (begin != MAP_FAILED) {
    PrivateMemory memory({static_cast<std::byte*>(begin), bytes});
    ::munlock(begin, bytes);
    if (::mprotect(begin, bytes, PROT_READ | PROT_WRITE) == 0) return memory;
  }
  const int failure = errno;
  const auto what = fmt::format("mmap of {} private bytes", bytes);
  if (failure == EAGAIN) {
    return fail(ErrorCode::out_of_memory, failure,
                what + ", which mlockall(MCL_FUTURE) would lock: raise the limit (ulimit -l)");
  }
  return tl::unexpected(Error::os(failure, what));
}

PrivateMemory::PrivateMemory(PrivateMemory&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

PrivateMemory& PrivateMemory::operator=(PrivateMemory&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

PrivateMemory::~PrivateMemory() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace mews::inline MEWS_LAYOUT::os
