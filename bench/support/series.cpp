// SPDX-License-Identifier: MIT
#include "support/series.hpp"

#include <algorithm>
#include <utility>

namespace mews::bench {
namespace {

constexpr double kBatchNs = 4e6;
constexpr std::uint64_t kLeastOperations = 2;

// Runs the case until its speed is known, which also warms it up. The fastest of several goes is
// believed: one that was interrupted would say that two operations fill a batch.
std::uint64_t operations_for(Case& measured) {
  // The first batch sets up: memory is touched, processes connect.
  measured.run({.operations = kLeastOperations});
  auto operations = kLeastOperations;
  for (;;) {
    auto fastest_ns = measured.run({.operations = operations});
    for (int go = 1; go < 4 && fastest_ns > kBatchNs / 4; ++go) {
      fastest_ns = std::min(fastest_ns, measured.run({.operations = operations}));
    }
    if (fastest_ns > kBatchNs / 4) {
      const auto each_ns = fastest_ns / static_cast<double>(operations);
      return std::max(kLeastOperations, static_cast<std::uint64_t>(kBatchNs / each_ns));
    }
    operations *= 4;
  }
}

}  // namespace

Series::Series(std::vector<CasePtr> cases) : cases_(std::move(cases)) {
  for (auto& each : cases_)
    operations_.push_back(operations_for(*each));
}

double Series::run_turn() {
  Turn turn{.ping_pong_ns = 0, .ns = {}};
  Recorder each;
  if (records_first_) each.reserve(operations_.front());
  const auto before = prober().read();
  for (std::size_t i = 0; i < cases_.size(); ++i) {
    const auto ns = cases_[i]->run({.operations = operations_[i]});
    turn.ns.push_back(ns / static_cast<double>(operations_[i]));
  }
  if (records_first_) cases_[0]->run({.operations = operations_[0], .each = &each});
  const auto after = prober().read();
  const auto first_ns = turn.ns.front();
  ++all_turns_;
  if (const auto placement = agreed(before, after)) {
    turn.ping_pong_ns = (before.ping_pong_ns + after.ping_pong_ns) / 2;
    kept_[index(*placement)].push_back(std::move(turn));
    records_[index(*placement)].append(each);
  }
  return first_ns;
}

Placement Series::most_frequent() const {
  auto best = Placement::siblings;
  for (const auto other : {Placement::same_l3, Placement::other_l3}) {
    if (turns(other) > turns(best)) best = other;
  }
  return best;
}

template <class Value>
double Series::quantile(double share, Placement placement, Value&& value) const {
  std::vector<double> values;
  for (const auto& turn : kept_[index(placement)])
    values.push_back(value(turn));
  return percentile(values, share);
}

double Series::median_ns(std::size_t which, Placement placement) const {
  return quantile(0.5, placement, [which](const Turn& turn) { return turn.ns[which]; });
}

Quartiles Series::ratio(std::size_t which, std::size_t to, Placement placement) const {
  const auto share = [=](const Turn& turn) { return turn.ns[which] / turn.ns[to]; };
  return {.first = quantile(0.25, placement, share),
          .median = quantile(0.5, placement, share),
          .third = quantile(0.75, placement, share)};
}

double Series::median_ping_pong_ns(Placement placement) const {
  return quantile(0.5, placement, [](const Turn& turn) { return turn.ping_pong_ns; });
}

double Series::percentile_ns(double share, Placement placement) {
  return records_[index(placement)].percentile_ns(share);
}

}  // namespace mews::bench
