// SPDX-License-Identifier: MIT
#include "mews/os/unique_fd.hpp"

#include <fcntl.h>

#include <cerrno>
#include <type_traits>

namespace mews::inline MEWS_LAYOUT::os {

// A copy would close the descriptor twice, and a throwing move could lose it.
static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
static_assert(std::is_nothrow_move_assignable_v<UniqueFd>);

namespace {

int copy_of(int fd) noexcept {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstOwnFd);
  // What it says where the limit allows the standard ones alone.
  if (copy < 0 && errno == EINVAL) errno = EMFILE;
  return copy;
}

}  // namespace

UniqueFd own_fd(int fd) noexcept {
  if (fd < 0 || fd >= kFirstOwnFd) return UniqueFd(fd);
  const int moved = copy_of(fd);
  const int failure = errno;
  ::close(fd);
  errno = failure;
  return UniqueFd(moved);
}

StandardFdGuard::StandardFdGuard() noexcept {
  for (auto& taken : taken_) {
    UniqueFd fd(::open("/", O_PATH | O_CLOEXEC));
    if (!fd || fd.get() >= kFirstOwnFd) return;
    taken = std::move(fd);
  }
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(copy_of(fd));
  if (!copy) return tl::unexpected(Error::os(errno, "dup"));
  return copy;
}

}  // namespace mews::inline MEWS_LAYOUT::os
