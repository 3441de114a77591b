// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "mews/os/unique_fd.hpp"

/// Memory that a test shares with others behind the library's back.
namespace mews_test {

/// The `T` at a file's start, as long as this object lives.
template <class T>
class Mapped {
 public:
  /// The descriptor may be closed afterwards. Throws.
  explicit Mapped(int fd) {
    void* at = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) throw std::runtime_error("mmap");
    object_ = std::launder(static_cast<T*>(at));
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() { ::munmap(object_, sizeof(T)); }

  [[nodiscard]] T& operator*() const noexcept { return *object_; }
  [[nodiscard]] T* operator->() const noexcept { return object_; }

 private:
  T* object_;
};

/// A `T` that a test shares with its children apart from any arena. All zeroes must be a valid one.
template <class T>
class SharedPage {
 public:
  SharedPage() : SharedPage(::memfd_create("mews-test-page", MFD_CLOEXEC)) {}
  /// The same memory in another process, by the first one's `path()`.
  explicit SharedPage(const char* path) : SharedPage(::open(path, O_RDWR | O_CLOEXEC)) {}

  /// Returns the path by which another process opens it, as long as this object lives.
  [[nodiscard]] std::string path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
  }
  [[nodiscard]] T& operator*() const noexcept { return *mapped_; }
  [[nodiscard]] T* operator->() const noexcept { return &*mapped_; }
  /// Resets it to its first state: before the next child.
  void reset() noexcept { std::construct_at(&*mapped_); }

 private:
  explicit SharedPage(int fd) : fd_(sized(fd)), mapped_(fd_.get()) {}
  static int sized(int fd) {
    if (fd < 0 || ::ftruncate(fd, sizeof(T)) != 0) throw std::runtime_error("memfd");
    return fd;
  }

  mews::os::UniqueFd fd_;
  Mapped<T> mapped_;
};

}  // namespace mews_test
