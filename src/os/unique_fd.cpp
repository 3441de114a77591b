// SPDX-License-Identifier: MIT
#include "mews/os/unique_fd.hpp"

#include <fcntl.h>

#include <cerrno>
#include <type_traits>

namespace mews::os {

// A copy would close the descriptor twice, and a throwing move could lose it.
static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
static_assert(std::is_nothrow_move_assignable_v<UniqueFd>);

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return tl::unexpected(Error::os(errno, "dup"));
  return copy;
}

}  // namespace mews::os
