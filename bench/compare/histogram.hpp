// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace mews::bench::compare {

/// Durations, in steps of 1/64 of themselves; of a fixed size, so that it can lie in shared memory
/// and recording one costs no allocation.
class Histogram {
 public:
  void add(std::uint64_t value) { ++counts_[bucket_of(value)]; }
  void add(const Histogram& other) {
    for (std::size_t i = 0; i < kBuckets; ++i)
      counts_[i] += other.counts_[i];
  }
  [[nodiscard]] std::uint64_t count() const {
    std::uint64_t sum = 0;
    for (const auto count : counts_)
      sum += count;
    return sum;
  }
  /// The value below which `share` (0..1) of them lie; 0 of none.
  [[nodiscard]] double percentile(double share) const {
    const auto all = count();
    if (all == 0) return 0;
    auto left = static_cast<std::uint64_t>(share * static_cast<double>(all));
    if (left >= all) left = all - 1;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      if (left < counts_[i]) return middle_of(i);
      left -= counts_[i];
    }
    return 0;
  }

 private:
  static constexpr unsigned kBits = 6;
  static constexpr std::size_t kSteps = std::size_t{1} << kBits;
  static constexpr std::size_t kBuckets = kSteps * 40;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kSteps) return value;
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - kBits;  // 1 and more
    const auto bucket = kSteps * octave + ((value >> (octave - 1)) - kSteps);
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }
  static double middle_of(std::size_t bucket) {
    if (bucket < kSteps) return static_cast<double>(bucket);
    const auto octave = bucket / kSteps;
    const auto low = (bucket % kSteps + kSteps) << (octave - 1);
    return static_cast<double>(low) + static_cast<double>(std::size_t{1} << (octave - 1)) / 2;
  }

  std::array<std::uint64_t, kBuckets> counts_{};
};

}  // namespace mews::bench::compare
