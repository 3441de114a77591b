// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <utility>

#include "mews/error.hpp"

namespace mews::os {

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

/// Another descriptor, close-on-exec, of what the open descriptor `fd` is one of. `os_error` with
/// EMFILE where the process may have no more.
[[nodiscard]] Result<UniqueFd> duplicate(int fd);

}  // namespace mews::os
