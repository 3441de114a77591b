// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "mews/mem/census.hpp"
#include "mews/mews.hpp"

namespace mews_test {

/// To a worker: do not send this back, say what you hold.
inline constexpr std::uint32_t kSayWhatYouHold = 1;

/// A plugin that works throughout while others die beside it, with the host's thread that keeps it
/// busy: messages of every size go to it and come back. It must notice nothing.
class Worker {
 public:
  /// Begins, and waits until it is at work.
  explicit Worker(mews::Session& host);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { stop(); }

  /// No message is on its way, and it holds nothing but its `HeldSlabs`, while this lives.
  [[nodiscard]] std::unique_lock<std::mutex> pause() { return std::unique_lock(round_); }
  /// Within `pause`: what the plugin says it holds; its `HeldSlabs` are as it wrote them, or
  /// `problem` says so.
  [[nodiscard]] mews::mem::Holding holding(std::string& problem);

  void stop();
  [[nodiscard]] std::uint64_t rounds() const noexcept { return rounds_.load(); }
  /// What it noticed; empty when all was well. After `stop`.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  void run();
  [[nodiscard]] std::string one_round(std::uint64_t number);

  std::optional<mews::Plugin> plugin_;
  std::mutex round_;
  std::atomic<bool> is_stopping_{false};
  std::atomic<std::uint64_t> rounds_{0};
  std::atomic<bool> is_over_{false};
  std::string problem_;
  std::thread thread_;
};

}  // namespace mews_test
