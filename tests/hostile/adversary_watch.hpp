// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "mews/deadline.hpp"

/// No call may return later than its deadline and some slack, or never.
namespace hostile_test {

/// How much later than its deadline a call may return, on a machine that has much else to do. No
/// statement about speed: what hangs is found by it.
inline constexpr std::chrono::seconds kSlack{5};
/// From here on a call does not come back at all: the process is ended, for a core to be looked at.
inline constexpr std::chrono::seconds kHang{60};

/// The calls of one thread.
class TimedCalls {
 public:
  using Clock = mews::Deadline::Clock;

  template <class Call>
  auto call(const char* name, Clock::duration allowed, Call&& call) {
    const auto began = Clock::now();
    name_.store(name, std::memory_order_relaxed);
    due_.store(began + allowed, std::memory_order_release);  // the name before it
    auto result = call();
    due_.store(Clock::time_point::max(), std::memory_order_relaxed);
    const auto over = Clock::now() - began - allowed;
    if (over > kSlack && late_.empty()) {
      late_ = std::string(name) + " returned " +
              std::to_string(std::chrono::duration<double>(over).count()) + " s after its deadline";
    }
    ++calls_;
    return result;
  }
  /// The first call that was too late, or nothing.
  [[nodiscard]] const std::string& late() const noexcept { return late_; }
  [[nodiscard]] std::uint64_t calls() const noexcept { return calls_; }

  /// For another thread: ends the process if a call does not return.
  void check(const std::string& context) const {
    // Acquire: the name of that call, or of a later one.
    if (Clock::now() - kHang < due_.load(std::memory_order_acquire)) return;
    std::fprintf(stderr, "%s: %s does not return\n", context.c_str(),
                 name_.load(std::memory_order_relaxed));
    std::abort();
  }

 private:
  std::atomic<const char*> name_{""};
  std::atomic<Clock::time_point> due_{Clock::time_point::max()};
  std::string late_;
  std::uint64_t calls_ = 0;
};

/// Looks at the calls of some threads while it lives.
template <std::size_t kThreads>
class HangWatch {
 public:
  explicit HangWatch(std::string context) : context_(std::move(context)) {
    thread_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      while (!over_.wait_for(lock, std::chrono::seconds(1), [this] { return is_over_; })) {
        for (const auto& calls : calls_)
          calls.check(context_);
      }
    });
  }
  HangWatch(const HangWatch&) = delete;
  HangWatch& operator=(const HangWatch&) = delete;
  ~HangWatch() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    over_.notify_one();
    thread_.join();
  }
  [[nodiscard]] TimedCalls& of(std::size_t thread) { return calls_.at(thread); }
  /// What was late in any of the threads, all of which are joined.
  [[nodiscard]] std::string late() const {
    std::string all;
    for (const auto& calls : calls_)
      all += calls.late();
    return all;
  }

 private:
  std::string context_;
  std::array<TimedCalls, kThreads> calls_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace hostile_test
