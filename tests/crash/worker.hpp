// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "mews/mews.hpp"

namespace mews_test {

/// A plugin that works throughout while others die beside it, with the host's thread that keeps it
/// busy: messages of every size go to it and come back. It must notice nothing.
class Worker {
 public:
  explicit Worker(mews::Session& host);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { stop(); }

  /// No message is on its way, and no slab in its hands, while this lives.
  [[nodiscard]] std::unique_lock<std::mutex> pause() { return std::unique_lock(round_); }

  void stop();
  [[nodiscard]] std::uint64_t rounds() const noexcept { return rounds_.load(); }
  /// What it noticed; empty when all was well. After `stop`.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] mews::PeerId peer() const noexcept { return plugin_->peer(); }

 private:
  void run();
  [[nodiscard]] std::string one_round(std::uint64_t number);

  std::optional<mews::Plugin> plugin_;
  std::mutex round_;
  std::atomic<bool> is_stopping_{false};
  std::atomic<std::uint64_t> rounds_{0};
  std::string problem_;
  std::thread thread_;
};

}  // namespace mews_test
