// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "support/case.hpp"
#include "support/placement.hpp"

namespace mews::bench {

/// The middle half of what was measured, and its middle.
struct Quartiles {
  double first = 0;
  double median = 0;
  double third = 0;
  /// 1.1 is a quiet machine.
  [[nodiscard]] double spread() const noexcept { return first > 0 ? third / first : 0; }
};

/// Cases that are run in turn, in short batches, with a placement reading around each turn: what
/// is compared was measured within milliseconds of each other, on the same pair of cores. A turn
/// whose two readings disagree is dropped.
class Series {
 public:
  /// Batches are made to last about four milliseconds: no more than a time slice, so that most
  /// turns are undisturbed even where something else runs, and long enough to hide how a batch
  /// begins.
  explicit Series(std::vector<CasePtr> cases);

  /// Notes every operation of the first case.
  void record_first() { records_first_ = true; }

  /// One turn; what the first case took, per operation.
  double run_turn();

  [[nodiscard]] std::size_t turns(Placement placement) const {
    return kept_[index(placement)].size();
  }
  [[nodiscard]] std::size_t all_turns() const { return all_turns_; }
  [[nodiscard]] Placement most_frequent() const;
  /// Medians over the turns of a placement: nanoseconds per operation, one case's share of
  /// another in the same turn, and the bare ping-pong around it.
  [[nodiscard]] double median_ns(std::size_t which, Placement placement) const;
  [[nodiscard]] double median_ratio(std::size_t which, std::size_t to, Placement placement) const {
    return ratio(which, to, placement).median;
  }
  /// The same share's quartiles.
  [[nodiscard]] Quartiles ratio(std::size_t which, std::size_t to, Placement placement) const;
  [[nodiscard]] double median_ping_pong_ns(Placement placement) const;
  /// Of single operations of the first case.
  [[nodiscard]] double percentile_ns(double share, Placement placement);

 private:
  struct Turn {
    double ping_pong_ns;
    std::vector<double> ns;
  };
  static std::size_t index(Placement placement) { return static_cast<std::size_t>(placement); }
  template <class Value>
  [[nodiscard]] double quantile(double share, Placement placement, Value&& value) const;

  std::vector<CasePtr> cases_;
  std::vector<std::uint64_t> operations_;
  std::array<std::vector<Turn>, kPlacements> kept_;
  std::array<Recorder, kPlacements> records_;
  std::size_t all_turns_ = 0;
  bool records_first_ = false;
};

}  // namespace mews::bench
