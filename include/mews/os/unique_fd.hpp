// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <array>
#include <utility>

#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Owns a file descriptor; closes it. Not thread-safe, as a `unique_ptr` is not.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

/// No descriptor of the library is below this: those are standard input, output and error, even
/// when the program was started with one of them closed, and its prints must not go elsewhere.
inline constexpr int kFirstOwnFd = 3;

/// Owns a descriptor that was just opened close-on-exec; one below `kFirstOwnFd` is moved up. Every
/// descriptor that the library opens or receives passes through here. Returns an empty one, and
/// errno says why, when `fd` is negative (errno is still that of the failed call) or there is no
/// descriptor to move it to (EMFILE).
[[nodiscard]] UniqueFd own_fd(int fd) noexcept;

/// While it lives, descriptors that cannot be read or written fill the closed standard ones: where
/// memory of the arena is opened or received, another thread's print must not hit it even before
/// `own_fd` has moved it. Costs two system calls. Any thread.
class StandardFdGuard {
 public:
  StandardFdGuard() noexcept;
  StandardFdGuard(const StandardFdGuard&) = delete;
  StandardFdGuard& operator=(const StandardFdGuard&) = delete;

 private:
  std::array<UniqueFd, kFirstOwnFd> taken_;
};

/// Returns another descriptor, close-on-exec, of the open file behind `fd`. `os_error` with EMFILE
/// when the process may have no more.
[[nodiscard]] Result<UniqueFd> duplicate(int fd);

}  // namespace mews::inline MEWS_LAYOUT::os
