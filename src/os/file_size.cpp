// SPDX-License-Identifier: MIT
#include "mews/os/file_size.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace mews::inline MEWS_LAYOUT::os {
namespace {

/// ftruncate without the signal that a file above the limit of sizes raises, which would end the
/// process. Blocks the signal in this thread alone, so that no other thread notices. Returns an
/// errno, or 0.
int truncate_quietly(int fd, std::uint64_t bytes) noexcept {
  sigset_t limit;
  sigset_t before;
  sigset_t pending;
  ::sigemptyset(&limit);
  ::sigaddset(&limit, SIGXFSZ);
  ::sigpending(&pending);
  ::pthread_sigmask(SIG_BLOCK, &limit, &before);
  const int failure = ::ftruncate(fd, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  if (failure == EFBIG && ::sigismember(&pending, SIGXFSZ) == 0) {
    const timespec at_once{};
    ::sigtimedwait(&limit, nullptr, &at_once);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return failure;
}

}  // namespace

Result<void> set_file_size(int fd, std::uint64_t bytes) {
  const int failure = truncate_quietly(fd, bytes);
  if (failure == 0) return {};
  if (failure == EFBIG) {
    return fail(ErrorCode::os_error, failure,
                fmt::format("ftruncate to {} bytes, which is more than a file of this process may "
                            "have (ulimit -f, RLIMIT_FSIZE); raise that, or use smaller "
                            "size_classes",
                            bytes));
  }
  return tl::unexpected(Error::os(failure, "ftruncate", fmt::format("{} bytes", bytes)));
}

}  // namespace mews::inline MEWS_LAYOUT::os
