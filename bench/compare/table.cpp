// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <string>

#include "compare/report.hpp"

namespace mews::bench::compare {
namespace {

struct Line {
  const Row* row = nullptr;
  Medians medians;
  bool is_pooled = false;  ///< no run in the table's placement
};

std::string figure_text(double figure) {
  char text[32];
  const auto size = std::fabs(figure);
  if (size < 0.1) {
    std::snprintf(text, sizeof text, "%.2g", figure);
  } else {
    std::snprintf(text, sizeof text, "%.*f", size >= 100 ? 0 : size >= 10 ? 1 : 2, figure);
  }
  return text;
}

std::vector<Line> lines_of(const Series& series, Placement placement) {
  std::vector<Line> lines;
  for (const auto& row : series.rows) {
    if (row.runs.empty()) continue;
    Line line{&row, medians_of(row, placement), false};
    if (line.medians.runs == 0) line = {&row, medians_of(row, std::nullopt), true};
    lines.push_back(std::move(line));
  }
  const bool is_more_better = series.spec->columns[0].is_more_better;
  std::ranges::stable_sort(lines, [&](const Line& a, const Line& b) {
    const auto x = a.medians.figures[0];
    const auto y = b.medians.figures[0];
    return is_more_better ? x > y : x < y;
  });
  return lines;
}

/// How many times better `a` is than `b`.
double lead(const CaseSpec& spec, const Line& a, const Line& b) {
  const auto x = a.medians.figures[0];
  const auto y = b.medians.figures[0];
  return spec.columns[0].is_more_better ? x / y : y / x;
}

void print_verdict(std::FILE* out, const CaseSpec& spec, const std::vector<Line>& lines) {
  const Line* mews = nullptr;
  const Line* best = nullptr;
  for (const auto& line : lines) {
    if (line.row->peer == "mews") {
      mews = &line;
    } else if (!line.row->is_limit && best == nullptr) {
      best = &line;
    }
  }
  if (mews == nullptr || best == nullptr) return;
  const auto ratio = lead(spec, *mews, *best);
  if (!std::isfinite(ratio)) return;  // a smoke run
  std::fprintf(out, "\nmews %s: %s x %s", ratio >= 1 ? "is first" : "**is behind**",
               figure_text(ratio >= 1 ? ratio : 1 / ratio).c_str(), best->row->peer.c_str());
  for (const auto& line : lines) {
    if (!line.row->is_limit) continue;
    std::fprintf(out, ", %s of the %s", figure_text(lead(spec, *mews, line)).c_str(),
                 line.row->peer.c_str());
  }
  std::fprintf(out, " (by %s)\n", spec.columns[0].title.c_str());
}

double median_ping_pong(const Series& series, Placement placement) {
  std::vector<double> readings;
  for (const auto& row : series.rows) {
    for (const auto& run : row.runs) {
      if (run.placement == placement) readings.push_back(run.ping_pong_ns);
    }
  }
  std::ranges::sort(readings);
  return readings.empty() ? 0 : readings[readings.size() / 2];
}

}  // namespace

void print_table(std::FILE* out, const Series& series) {
  const auto& spec = *series.spec;
  const auto placement = series.most_frequent();
  const auto name = kPlacementNames[static_cast<std::size_t>(placement)];
  std::fprintf(out, "\n### %s\n\n%s. Processors: %.*s, ping-pong %.0f ns.\n\n", spec.name.c_str(),
               spec.title.c_str(), static_cast<int>(name.size()), name.data(),
               median_ping_pong(series, placement));
  std::fprintf(out, "| %-28s |", "");
  for (const auto& column : spec.columns)
    std::fprintf(out, " %15s |", column.title.c_str());
  std::fprintf(out, "  runs |\n|%s|", std::string(30, '-').c_str());
  for (std::size_t i = 0; i < spec.columns.size(); ++i)
    std::fprintf(out, "----------------:|");
  std::fprintf(out, "------:|\n");
  const auto lines = lines_of(series, placement);
  for (const auto& line : lines) {
    auto peer = line.row->peer;
    if (peer == "mews") peer = "**mews**";
    if (line.row->is_limit) peer = "_" + peer + "_";
    std::fprintf(out, "| %-28s |", peer.c_str());
    for (const auto figure : line.medians.figures)
      std::fprintf(out, " %15s |", figure_text(figure).c_str());
    std::fprintf(out, " %4zu%s |\n", line.medians.runs, line.is_pooled ? "*" : " ");
  }
  for (const auto& row : series.rows) {
    if (row.has_failed) std::fprintf(out, "\n%s: **failed**\n", row.peer.c_str());
  }
  std::string out_of_it;
  for (const auto& row : series.rows) {
    if (!row.refusal.empty())
      out_of_it += (out_of_it.empty() ? "" : "; ") + row.peer + ": " + row.refusal;
  }
  if (!out_of_it.empty()) std::fprintf(out, "\nNot here: %s.\n", out_of_it.c_str());
  print_verdict(out, spec, lines);
  std::fflush(out);
}

}  // namespace mews::bench::compare
