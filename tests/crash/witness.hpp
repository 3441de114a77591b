// SPDX-License-Identifier: MIT
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

/// A page that a test shares with the process it is going to lose, apart from any arena: what the
/// dead one knew at its last moment.
namespace mews_test {

struct Witness {
  std::atomic<std::uint64_t> steps{0};     ///< kill points passed
  std::atomic<std::uint64_t> begun{0};     ///< messages whose sending was begun
  std::atomic<std::uint64_t> sent{0};      ///< messages whose sending has returned
  std::atomic<std::uint64_t> received{0};  ///< messages that a call has returned
  std::atomic<std::uint32_t> phase{0};     ///< how far the scenario has come; its own affair
  std::atomic<std::uint32_t> ready{0};     ///< 1: the others are where the scenario wants them
  std::atomic<std::uint32_t> stuck{0};     ///< 1: `complaint` says what must not be
  char complaint[256]{};
};

class WitnessPage {
 public:
  WitnessPage() : fd_(::memfd_create("mews-witness", 0)) {  // to be inherited
    if (fd_ < 0 || ::ftruncate(fd_, sizeof(Witness)) != 0) throw std::runtime_error("memfd");
    map();
  }
  /// The same page in the child.
  explicit WitnessPage(int inherited_fd) : fd_(inherited_fd) { map(); }
  WitnessPage(const WitnessPage&) = delete;
  WitnessPage& operator=(const WitnessPage&) = delete;
  ~WitnessPage() {
    ::munmap(page_, sizeof(Witness));
    ::close(fd_);
  }

  [[nodiscard]] Witness& get() noexcept { return *page_; }
  [[nodiscard]] std::string fd() const { return std::to_string(fd_); }
  /// Everything zero: before the next child.
  void reset() noexcept { new (page_) Witness; }

 private:
  void map() {
    void* page = ::mmap(nullptr, sizeof(Witness), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (page == MAP_FAILED) throw std::runtime_error("mmap");
    page_ = static_cast<Witness*>(page);
  }
  int fd_;
  Witness* page_ = nullptr;
};

/// The first complaint counts.
inline void complain(Witness& witness, const std::string& text) noexcept {
  if (witness.stuck.load() != 0) return;
  std::snprintf(witness.complaint, sizeof witness.complaint, "%s", text.c_str());
  witness.stuck.store(1);
}

}  // namespace mews_test
