// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "mews/mews.hpp"

namespace example {

/// What the small plugins did. `latencies_us` has one entry for each request that was sent while a
/// font was being decompressed, whenever its answer came: leaving the late ones out would flatter.
struct SmallFigures {
  std::uint64_t answered = 0;  ///< in all
  std::uint64_t wrong = 0;     ///< whose bytes were not what they should be
  std::vector<double> latencies_us;
  std::optional<std::string> failure;
};

/// Keeps many plugins busy with small requests from one thread, as an event loop does: one
/// request is open at each plugin, and the next follows a pause after its answer.
///
/// The pause leaves the processors to the decoder: without it two of them are always busy with
/// small messages, and every latency is the length of the queue. A latency runs from before the
/// send until this thread has the answer, so it includes its wait for a processor.
class SmallTraffic {
 public:
  /// Starts at once. The plugins' channels are this object's until `stop`.
  SmallTraffic(std::vector<mews::Plugin>& plugins, std::chrono::microseconds pause);
  SmallTraffic(const SmallTraffic&) = delete;
  SmallTraffic& operator=(const SmallTraffic&) = delete;

  /// Whether the requests sent from now on count for `latencies_us`.
  void begin_round() { is_round_.store(true, std::memory_order_relaxed); }
  void end_round() { is_round_.store(false, std::memory_order_relaxed); }

  /// Waits for the open answers, ends the thread and gives what it has found.
  [[nodiscard]] SmallFigures stop();

 private:
  using Clock = std::chrono::steady_clock;

  struct Client {
    mews::Plugin* plugin;
    bool is_open = false;       ///< a request is under way
    Clock::time_point at = {};  ///< when it was sent; otherwise when the next is due
    std::uint64_t correlation = 0;
    bool is_counted = false;  ///< it was sent within a round
    std::string text = {};
  };

  mews::Result<void> watch_all();
  void run(const std::stop_token& stop);
  void ask(Client& client);
  bool take_answer(Client& client);
  void check(const Client& client, const mews::Message& answer);
  void wait();
  void fail(std::string sentence);

  std::vector<Client> clients_;
  std::optional<mews::WaitSet> set_;
  const std::chrono::microseconds pause_;
  SmallFigures figures_;
  std::uint64_t asked_ = 0;
  // Relaxed: it orders nothing, a sample on the border of a round may fall on either side.
  std::atomic<bool> is_round_{false};
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace example
