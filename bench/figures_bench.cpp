// SPDX-License-Identifier: MIT
// The figures that mews is to reach, each measured in turn with its yardstick:
//   sh bench/run.sh --figures [seconds]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/channel_cases.hpp"
#include "support/cpu.hpp"
#include "support/figures.hpp"
#include "support/idle_memory.hpp"
#include "support/lane_cases.hpp"
#include "support/link_cases.hpp"
#include "support/placement.hpp"
#include "support/slab_cases.hpp"
#include "support/yardsticks.hpp"

namespace bench = mews::bench;
using bench::Goal;

namespace {

constexpr double kDefaultSeconds = 150;
constexpr unsigned kPlugins = 17;
constexpr std::size_t kOneCellBytes = 32;
constexpr std::size_t kKibi = 1024;
constexpr std::size_t kMebi = 1024 * kKibi;

template <class... Cases>
std::vector<bench::CasePtr> in_turn(Cases... cases) {
  std::vector<bench::CasePtr> all;
  (all.push_back(std::move(cases)), ...);
  return all;
}

bench::Group spinning() {
  return {in_turn(bench::channel_round_trip(64, bench::kSpin), bench::ping_pong(),
                  bench::ring_ping_pong(), bench::lane_round_trip(64)),
          {{"64 B round trip, spinning", "cache-line ping-pong", 0, 1, Goal::at_most, 1.8},
           {"64 B round trip, spinning", "rings of 1024 lines", 0, 2},
           {"the same by bare lanes", "cache-line ping-pong", 3, 1, Goal::at_most, 1.3},
           {"64 B round trip, spinning", "bare lanes", 0, 3, Goal::at_most, 1.15},
           {"rings of 1024 lines, no payload", "cache-line ping-pong", 2, 1}}};
}

bench::Group one_thread() {
  return {in_turn(bench::channel_alone(64), bench::lane_alone(64)),
          {{"64 B sent and received in one thread", "bare lane", 0, 1, Goal::at_most, 1.15}}};
}

bench::Group by_channel() {
  return {in_turn(bench::channel_one_way(64), bench::channel_batch_stream(64),
                  bench::lane_stream({.bytes = 64})),
          {{"64 B one way by a channel", "bare lane", 0, 2, Goal::at_most, 1.15},
           {"the same, batch visitor", "bare lane", 1, 2}}};
}

bench::Group sleeping() {
  return {in_turn(bench::channel_round_trip(64, bench::kSleep), bench::futex_round_trip()),
          {{"64 B round trip, both asleep", "futex round trip", 0, 1, Goal::at_most, 1.15}}};
}

bench::Group calls() {
  constexpr unsigned kInFlight = 16;
  return {
      in_turn(bench::call_round_trip(64, bench::kSpin), bench::channel_round_trip(64, bench::kSpin),
              bench::calls_in_flight(64, kInFlight)),
      {{"64 B call and reply, spinning", "the same by a channel", 0, 1, Goal::at_most, 1.25},
       {"16 calls in flight, times as many", "one at a time", 2, 0, Goal::at_least, 3, true}}};
}

bench::Group sleeping_calls() {
  return {in_turn(bench::call_round_trip(64, bench::kSleep), bench::futex_round_trip()),
          {{"64 B call and reply, both asleep", "futex round trip", 0, 1, Goal::at_most, 1.1}}};
}

bench::Group stream() {
  constexpr std::size_t kPiece = 64 * kKibi;
  return {in_turn(bench::link_stream(kPiece, bench::Touch::all),
                  bench::channel_stream(kPiece, bench::Touch::all)),
          {{"stream of 64 KiB loans, all bytes, of the rate", "by a channel", 0, 1, Goal::at_least,
            0.9, true}}};
}

bench::Group one_way() {
  const auto lane = [](bench::Wake wake) {
    return bench::lane_stream({.bytes = kOneCellBytes, .wake = wake});
  };
  return {in_turn(lane(bench::Wake::light), lane(bench::Wake::never), lane(bench::Wake::full),
                  bench::channel_batch_stream(kOneCellBytes)),
          {{"one cell, one way, wake protocol", "no wake protocol", 0, 1, Goal::at_most, 1.5},
           {"the same with a full fence", "no wake protocol", 2, 1},
           {"the same by a channel", "no wake protocol", 3, 1}}};
}

bench::Group slab(std::uint64_t bytes) {
  const std::string size = std::to_string(bytes / kKibi);
  return {in_turn(bench::slab_alone(bytes), bench::malloc_free(bytes),
                  bench::channel_loan_alone(bytes)),
          {{"alloc + free, " + size + " KiB", "malloc + free", 0, 1, Goal::at_most, 1},
           {"loan + drop, " + size + " KiB", "alloc + free", 2, 0, Goal::at_most, 1.3}}};
}

bench::Group against_pipe() {
  return {in_turn(bench::channel_stream(kKibi, bench::Touch::all),
                  bench::pipe_stream(kKibi, bench::Touch::all)),
          {{"1 KiB one way, all bytes, times faster", "pipe", 0, 1, Goal::at_least, 3, true}}};
}

bench::Group by_size() {
  return {in_turn(bench::channel_echo(10 * kMebi, bench::Touch::header),
                  bench::channel_echo(kKibi, bench::Touch::header),
                  bench::channel_stream(10 * kMebi, bench::Touch::header),
                  bench::channel_stream(kKibi, bench::Touch::header)),
          {{"10 MiB there and back, header touched", "1 KiB", 0, 1, Goal::at_most, 1.3},
           {"10 MiB one way, header touched", "1 KiB", 2, 3}}};
}

bool print_memory() {
  constexpr double kTarget = 4;
  const auto memory = bench::measure_idle_memory(kPlugins);
  const auto arena = static_cast<double>(memory.arena_bytes) / kMebi;
  const auto added = static_cast<double>(memory.added_bytes) / kMebi;
  std::printf("Idle arena with %u plugins attached: %.2f MiB resident; target < %.0f MiB: %s\n",
              kPlugins, arena, kTarget, arena < kTarget ? "reached" : "NOT reached");
  std::printf("All %u processes with it, over the same processes without: %.2f MiB\n", kPlugins + 1,
              added);
  return arena < kTarget;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (bench::has_been_idle_process(first)) return 0;
  const double seconds = first.empty() ? kDefaultSeconds : std::strtod(first.c_str(), nullptr);
  const bool is_small = print_memory();
  std::fflush(stdout);

  bench::pin_to_nth_cpu(0);
  static_cast<void>(bench::prober());
  std::vector<bench::Group> groups;
  groups.push_back(spinning());
  groups.push_back(sleeping());
  groups.push_back(one_thread());
  groups.push_back(calls());
  groups.push_back(sleeping_calls());
  groups.push_back(stream());
  groups.push_back(one_way());
  groups.push_back(by_channel());
  for (const auto bytes : bench::class_bytes())
    groups.push_back(slab(bytes));
  groups.push_back(against_pipe());
  groups.push_back(by_size());
  const bool is_fast = bench::run_and_print(std::move(groups), seconds);
  return is_small && is_fast ? 0 : 1;
}
