// SPDX-License-Identifier: MIT
#include "crash/worker.hpp"

#include <array>

#include "crash/encounter.hpp"
#include "crash/payload.hpp"
#include "crash/table.hpp"

namespace mews_test {

Worker::Worker(mews::Session& host) {
  auto plugin = host.spawn("worker", {MEWS_TEST_BIN_DIR "/crash_worker_plugin"});
  if (!plugin) {
    problem_ = plugin.error().message();
    return;
  }
  plugin_.emplace(std::move(*plugin));
  thread_ = std::thread([this] { run(); });
}

void Worker::stop() {
  is_stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Worker::run() {
  for (std::uint64_t number = 0; !is_stopping_; ++number) {
    std::string problem;
    {
      const std::lock_guard round(round_);
      problem = one_round(number);
    }
    if (!problem.empty()) {
      problem_ = "round " + std::to_string(number) + ": " + problem;
      return;
    }
    rounds_ = number + 1;
    // Leaves the processors to those whose steps are counted.
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

std::string Worker::one_round(std::uint64_t number) {
  constexpr std::array kSizes{kInline, kSmall, kLarge, kMiddle, kHomed};
  auto& channel = plugin_->channel();
  auto loan = channel.loan(kSizes[number % kSizes.size()], kStuck);
  if (!loan) return "loan: " + loan.error().message();
  fill(loan->bytes(), number);
  if (const auto sent = channel.send(std::move(*loan), {.correlation = number}, kStuck); !sent) {
    return "send: " + sent.error().message();
  }
  const auto answer = channel.receive(kStuck);
  if (!answer) return "receive: " + answer.error().message();
  if (answer->correlation() != number) return "the answer is to another message";
  return fault_of(answer->bytes(), number).value_or("");
}

}  // namespace mews_test
