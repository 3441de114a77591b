// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

/// Figures that the chaos tests print.
namespace mews_test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kIsSanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kIsSanitized = false;
#endif

/// Durations from any thread.
class Times {
 public:
  void add(std::chrono::nanoseconds time) {
    const std::lock_guard lock(mutex_);
    times_.push_back(time);
  }
  /// Takes, and touches, the memory for so many: what is measured later is not this.
  void reserve(std::size_t count) {
    times_.resize(count);
    times_.clear();
  }
  [[nodiscard]] std::size_t count() {
    const std::lock_guard lock(mutex_);
    return times_.size();
  }
  void print(const char* title) {
    const std::lock_guard lock(mutex_);
    std::sort(times_.begin(), times_.end());
    if (times_.empty()) return;
    std::printf("%s: p50 %.2f ms, p99 %.2f ms, longest %.2f ms, of %zu\n", title, at(0.5), at(0.99),
                at(1), times_.size());
    std::fflush(stdout);
  }

 private:
  [[nodiscard]] double at(double share) const {
    const auto last = static_cast<double>(times_.size() - 1);
    return static_cast<double>(times_[static_cast<std::size_t>(share * last)].count()) / 1e6;
  }
  std::mutex mutex_;
  std::vector<std::chrono::nanoseconds> times_;
};

/// What a process takes of the system.
struct Footprint {
  std::uint64_t private_bytes = 0;  ///< resident, without what it shares
  std::uint64_t arena_bytes = 0;
  std::uint64_t descriptors = 0;

  [[nodiscard]] static Footprint of_this_process() {
    Footprint print;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("RssAnon:")) print.private_bytes = 1024 * std::stoull(line.substr(8));
    }
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/self/fd")) {
      ++print.descriptors;
    }
    return print;
  }
  [[nodiscard]] std::string text() const {
    return std::to_string(private_bytes >> 10) + " KiB private, " +
           std::to_string(arena_bytes >> 10) + " KiB in the arena, " + std::to_string(descriptors) +
           " descriptors";
  }
};

}  // namespace mews_test
