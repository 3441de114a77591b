// SPDX-License-Identifier: MIT
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <stdexcept>
#include <string>

namespace mews_test {

/// Memory that a test shares with its children apart from any arena. All zeroes must be a valid
/// `T`, of atomics only.
template <class T>
class SharedPage {
 public:
  SharedPage() : fd_(::memfd_create("mews-test-page", 0)) {  // to be inherited
    if (fd_ < 0 || ::ftruncate(fd_, sizeof(T)) != 0) throw std::runtime_error("memfd");
    map();
  }
  /// The same memory in the child.
  explicit SharedPage(int inherited_fd) : fd_(inherited_fd) { map(); }
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;
  ~SharedPage() {
    ::munmap(page_, sizeof(T));
    ::close(fd_);
  }

  [[nodiscard]] std::string fd() const { return std::to_string(fd_); }
  [[nodiscard]] T& operator*() const noexcept { return *page_; }
  [[nodiscard]] T* operator->() const noexcept { return page_; }

 private:
  void map() {
    void* page = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (page == MAP_FAILED) throw std::runtime_error("mmap");
    page_ = std::launder(static_cast<T*>(page));
  }
  int fd_;
  T* page_ = nullptr;
};

}  // namespace mews_test
