// SPDX-License-Identifier: MIT
#include "crash/worker.hpp"

#include <array>
#include <cstring>

#include "crash/held_slabs.hpp"
#include "crash/host_side.hpp"
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
  while (rounds() == 0 && !is_over_)
    std::this_thread::sleep_for(std::chrono::microseconds(20));
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
      is_over_ = true;
      return;
    }
    rounds_ = number + 1;
    // Leaves the processors to those whose steps are counted.
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

mews::mem::Holding Worker::holding(std::string& problem) {
  mews::mem::Holding holding{.peer = plugin_->peer()};
  auto& channel = plugin_->channel();
  if (const auto asked =
          channel.send(std::span<const std::byte>(), {.type = kSayWhatYouHold}, kStuck);
      !asked) {
    problem += "asking the worker: " + asked.error().message() + "; ";
    return holding;
  }
  const auto answer = channel.receive(kStuck);
  HeldSlabs::Statement statement{};
  if (!answer || answer->size() != sizeof statement) {
    problem += "the worker does not say what it holds; ";
    return holding;
  }
  std::memcpy(&statement, answer->bytes().data(), sizeof statement);
  if (statement.slabs != HeldSlabs::kSlabs || statement.damaged != 0) {
    problem += "of the worker's " + std::to_string(statement.slabs) + " slabs " +
               std::to_string(statement.damaged) + " were written to by another; ";
  }
  holding.held = statement.slabs;
  return holding;
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
