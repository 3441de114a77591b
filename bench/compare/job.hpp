// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "compare/histogram.hpp"
#include "compare/setup.hpp"

namespace mews::bench::compare {

enum class Work : std::uint8_t {
  exchange,  ///< each client has one request open
  stream,    ///< the client sends, the host receives
  paced,     ///< the same, with a pause before each message
  idle,      ///< all wait, nothing is sent
  font,      ///< the host decompresses what each request has
  killed,    ///< a client is killed with messages in its hands
};

/// One run of one case with one peer.
struct Job {
  Work work = Work::exchange;
  Setup setup;
  std::size_t touched_bytes = 64;  ///< of each message, by its sender and by its receiver
  double seconds = 1;
  double least_seconds = 0;                         ///< where less would say nothing
  std::uint64_t most_messages = ~std::uint64_t{0};  ///< of each client
  bool is_rested = false;    ///< before each request the host gets the time to fall asleep
  bool keeps_awake = false;  ///< the processors do not halt meanwhile
  bool counts_memory = false;
  double pause_seconds = 0;           ///< between paced messages
  const std::string* font = nullptr;  ///< the compressed file
};

/// What came out; in memory that all processes of the run share.
struct Outcome {
  Histogram durations;     ///< ticks, from the first message on; of a font without `inside`
  Histogram inside;        ///< ticks of the host's own work for each
  double rate = 0;         ///< messages a second, once it was going
  double cpu_seconds = 0;  ///< of all processes
  double wall_seconds = 0;
  std::uint64_t messages = 0;  ///< those that `cpu_seconds` was spent on
  double slowest_share = 0;    ///< the slowest client's rate to the fastest's
  double added_bytes = 0;      ///< proportional, of all processes, over the same without a peer
  bool is_complete = false;
};

}  // namespace mews::bench::compare
