// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "compare/histogram.hpp"

namespace mews::bench::compare {

/// What the processes of one run tell each other beside the messages.
struct Board {
  static constexpr unsigned kMostClients = 64;

  struct alignas(128) Client {
    Histogram durations;
    double cpu_seconds = 0;
    std::uint64_t messages = 0;          ///< all
    std::uint64_t counted_messages = 0;  ///< those of the measured time
  };
  alignas(128) std::atomic<std::uint32_t> ready{0};
  alignas(128) std::atomic<std::uint32_t> begun{0};
  alignas(128) std::atomic<std::uint32_t> done{0};
  alignas(128) std::atomic<std::uint32_t> over{0};
  std::uint64_t begin_ticks = 0;               ///< written before `begun`
  std::atomic<std::uint64_t> inside_ticks{0};  ///< the host's own work for the reply that follows
  Client clients[kMostClients];
};

/// The clients of a run: forked, each pinned to one of the processors that the host does not have.
/// They die with the host; should one end too early, the host ends with an error.
class Crew {
 public:
  Crew(Board& board, unsigned clients, const std::function<void(unsigned)>& body);

  /// Returns when so many are ready, then lets all begin.
  void begin();
  /// Returns when all have done their work; they are still there then.
  void wait_until_done();
  /// Ends all.
  void dismiss();
  /// The end of this one is no error.
  void expect_end_of(unsigned nth);
  [[nodiscard]] const std::vector<pid_t>& pids() const { return pids_; }

 private:
  Board& board_;
  std::vector<pid_t> pids_;
};

/// The client's side: each returns when the host says so, to begin and to end.
void report_ready(Board& board);
void report_done(Board& board);

/// Keeps every processor from halting while it lives, without taking time from anything else.
class Sleepless {
 public:
  Sleepless();
  Sleepless(const Sleepless&) = delete;
  Sleepless& operator=(const Sleepless&) = delete;
  ~Sleepless();

 private:
  std::vector<pid_t> pids_;
};

}  // namespace mews::bench::compare
