// SPDX-License-Identifier: MIT
#include "support/figures.hpp"

#include <cstdio>
#include <utility>

#include "support/cpu.hpp"

namespace mews::bench {
namespace {

/// Fewer turns say nothing; and where the middle half of them differs by more than this, something
/// else was running.
constexpr std::size_t kLeastTurns = 5;
constexpr double kMostSpread = 1.5;

struct Running {
  std::vector<Figure> figures;
  std::unique_ptr<Series> series;
};

bool is_reached(const Figure& figure, double ratio) {
  switch (figure.goal) {
    case Goal::at_most:
      return ratio <= figure.target;
    case Goal::at_least:
      return ratio >= figure.target;
    case Goal::none:
      break;
  }
  return true;
}

struct Verdict {
  const char* text;
  bool is_good;
};

// The median decides; when the quartiles lie far apart, all three must say the same.
Verdict judge(const Figure& figure, const Quartiles& ratio) {
  if (figure.goal == Goal::none) return {"", true};
  const bool is_good = is_reached(figure, ratio.median);
  const bool is_clear =
      is_reached(figure, ratio.first) == is_good && is_reached(figure, ratio.third) == is_good;
  if (!is_clear && ratio.spread() > kMostSpread) return {"noisy", false};
  return is_good ? Verdict{"yes", true} : Verdict{"NO", false};
}

bool print_line(const Figure& figure, const Series& series, Placement placement) {
  const auto over = figure.is_speed ? figure.yardstick_index : figure.case_index;
  const auto under = figure.is_speed ? figure.case_index : figure.yardstick_index;
  const auto ratio = series.ratio(over, under, placement);
  const auto verdict = judge(figure, ratio);
  char target[32] = "";
  if (figure.goal != Goal::none) {
    std::snprintf(target, sizeof target, "%s %.2f",
                  figure.goal == Goal::at_most ? "<=" : ">=", figure.target);
  }
  std::printf("| %-44s | %-24s | %11.1f | %11.1f | %7.2f | %7.2f | %-7s | %-7s | %5zu |\n",
              figure.what.c_str(), figure.yardstick.c_str(),
              series.median_ns(figure.case_index, placement),
              series.median_ns(figure.yardstick_index, placement), ratio.median, ratio.spread(),
              target, verdict.text, series.turns(placement));
  return verdict.is_good;
}

bool print_table(const std::vector<Running>& groups, Placement placement) {
  const auto name = kPlacementNames[static_cast<std::size_t>(placement)];
  std::printf(
      "\nProcessors: %.*s; a bare cache-line ping-pong takes %.1f ns. Medians, in ns;\n"
      "spread: third over first quartile of the ratio.\n\n",
      static_cast<int>(name.size()), name.data(),
      groups.front().series->median_ping_pong_ns(placement));
  std::printf("| %-44s | %-24s | %11s | %11s | %7s | %7s | %-7s | %-7s | %5s |\n", "figure",
              "held against", "figure", "yardstick", "ratio", "spread", "target", "reached",
              "turns");
  std::printf("|%s|%s|%s|%s|%s|%s|%s|%s|%s|\n", "----------------------------------------------",
              "--------------------------",
              "------------:", "------------:", "--------:", "--------:", "---------", "---------",
              "------:");
  bool all_reached = true;
  for (const auto& group : groups) {
    if (group.series->turns(placement) < kLeastTurns) continue;
    for (const auto& figure : group.figures) {
      all_reached &= print_line(figure, *group.series, placement);
    }
  }
  return all_reached;
}

}  // namespace

bool run_and_print(std::vector<Group> groups, double seconds) {
  std::vector<Running> running;
  for (auto& group : groups) {
    running.push_back({std::move(group.figures), std::make_unique<Series>(std::move(group.cases))});
  }
  const auto end = now_ns() + seconds * 1e9;
  std::size_t rounds = 0;
  while (now_ns() < end || rounds < 2 * kLeastTurns) {
    for (auto& each : running)
      each.series->run_turn();
    if (++rounds % 16 == 0) std::fprintf(stderr, "\r%zu rounds", rounds);
  }
  std::fprintf(stderr, "\r%zu rounds\n", rounds);
  const auto typical = running.front().series->most_frequent();
  bool all_reached = true;
  for (const auto placement : {Placement::siblings, Placement::same_l3, Placement::other_l3}) {
    if (running.front().series->turns(placement) < kLeastTurns) continue;
    const bool reached = print_table(running, placement);
    if (placement == typical) all_reached = reached;
  }
  return all_reached;
}

}  // namespace mews::bench
