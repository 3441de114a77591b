// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/random.hpp"

/// What the stress tests share. No assertion in a worker: it reports a complaint and stops; the
/// test looks at the complaints once all workers have been joined.
namespace stress {

/// So long that only a hang reaches it; no test waits for it to pass.
inline constexpr std::chrono::seconds kPatience{60};

class Complaints {
 public:
  void add(std::string text) {
    const std::lock_guard lock(mutex_);
    if (texts_.size() < 10) texts_.push_back(std::move(text));
    any_.store(true, std::memory_order_relaxed);  // says only: stop
  }
  [[nodiscard]] bool any() const noexcept { return any_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string all() const {
    std::string all;
    for (const auto& text : texts_)
      all += text + "\n";
    return all;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> texts_;
  std::atomic<bool> any_{false};
};

/// Runs `body(i)` in `count` threads and joins them.
template <class Body>
void run_threads(unsigned count, Body&& body) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i)
    threads.emplace_back([&body, i] { body(i); });
  for (auto& thread : threads)
    thread.join();
}

/// Passes the time of a thread that can do nothing now; two of three are on one processor.
class Idle {
 public:
  void wait() {
    if (++looks_ % 64 == 0) std::this_thread::yield();
  }

 private:
  unsigned looks_ = 0;
};

}  // namespace stress
