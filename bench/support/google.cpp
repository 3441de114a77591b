// SPDX-License-Identifier: MIT
#include "support/google.hpp"

#include <benchmark/benchmark.h>

#include "support/cpu.hpp"
#include "support/series.hpp"

namespace mews::bench {
namespace {

constexpr int kTurns = 100;

void count(benchmark::State& state, const Registration& what, Series& series) {
  const auto placement = series.most_frequent();
  const auto messages = static_cast<double>(what.messages);
  const auto ns = series.median_ns(0, placement) / messages;
  std::string label(kPlacementNames[static_cast<std::size_t>(placement)]);
  label.append(" ").append(std::to_string(series.turns(placement)));
  label.append(" of ").append(std::to_string(series.all_turns()));
  state.SetLabel(label);
  state.counters["ns"] = ns;
  state.counters["P"] = series.median_ping_pong_ns(placement);
  if (what.bytes != 0 && ns > 0) state.counters["GB/s"] = static_cast<double>(what.bytes) / ns;
  for (std::size_t i = 0; i < what.yardsticks.size(); ++i) {
    state.counters["x " + what.yardsticks[i].first] =
        series.median_ratio(0, i + 1, placement) / messages;
  }
  if (!what.has_percentiles) return;
  state.counters["p50"] = series.percentile_ns(0.5, placement);
  state.counters["p99"] = series.percentile_ns(0.99, placement);
  state.counters["p99.9"] = series.percentile_ns(0.999, placement);
}

void run(benchmark::State& state, const Registration& what) {
  std::vector<CasePtr> cases;
  cases.push_back(what.make());
  for (const auto& yardstick : what.yardsticks)
    cases.push_back(yardstick.second());
  Series series(std::move(cases));
  if (what.has_percentiles) series.record_first();
  for ([[maybe_unused]] auto turn : state) {
    state.SetIterationTime(series.run_turn() * 1e-9 / static_cast<double>(what.messages));
  }
  count(state, what, series);
}

}  // namespace

std::string path(std::string_view name, std::uint64_t number) {
  std::string text(name);
  text += '/';
  text += std::to_string(number);
  return text;
}

void add(Registration registration) {
  const auto name = registration.name;
  benchmark::RegisterBenchmark(
      name.c_str(), [what = std::move(registration)](benchmark::State& state) { run(state, what); })
      ->Iterations(kTurns)
      ->UseManualTime();
}

int run_all(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  pin_to_nth_cpu(0);
  static_cast<void>(prober());
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace mews::bench
