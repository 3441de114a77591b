// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compare/cases.hpp"
#include "support/placement.hpp"

namespace mews::bench::compare {

/// One run: its figures, by the columns of its case, and where the processors were.
struct Run {
  std::vector<double> figures;
  std::optional<Placement> placement;  ///< none: it changed meanwhile
  double ping_pong_ns = 0;
};

struct Row {
  std::string peer;
  bool is_limit = false;
  std::string refusal;  ///< why there are no runs
  bool has_failed = false;
  std::vector<Run> runs;
};

/// The runs of all peers of one case.
struct Series {
  const CaseSpec* spec = nullptr;
  std::vector<Row> rows;
  [[nodiscard]] Placement most_frequent() const;
};

/// Medians, column by column.
struct Medians {
  std::vector<double> figures;
  std::size_t runs = 0;
};
[[nodiscard]] Medians medians_of(const Row& row, std::optional<Placement> placement);

/// The peers in turn, `turns` times; each run in processes of its own, between two probes.
[[nodiscard]] Series run_series(const CaseSpec& spec, double seconds, unsigned turns);

}  // namespace mews::bench::compare
