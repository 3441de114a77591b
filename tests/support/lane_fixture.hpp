// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "mews/ring/lane_consumer.hpp"
#include "mews/ring/lane_producer.hpp"

/// A lane in private memory, with both of its ends.
namespace mews_test {

struct Lane {
  explicit Lane(std::uint32_t ring_cells = 32)
      : cells(ring_cells), producer(state, cells), consumer(state, cells) {}

  mews::layout::LaneState state{};
  std::vector<mews::layout::Cell> cells;
  mews::ring::LaneProducer producer;
  mews::ring::LaneConsumer consumer;
};

/// A message descriptor for `bytes` of inline payload.
[[nodiscard]] inline mews::layout::Descriptor message(std::uint64_t correlation,
                                                      std::size_t bytes = 0) {
  mews::layout::Descriptor descriptor;
  descriptor.correlation = correlation;
  descriptor.bytes = bytes;
  return descriptor;
}

/// `bytes` that differ with `salt` and with each place.
[[nodiscard]] inline std::vector<std::byte> pattern(std::size_t bytes, std::uint64_t salt) {
  std::vector<std::byte> result(bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    result[i] = static_cast<std::byte>((salt * 31 + i * 7 + i / 251) & 0xff);
  }
  return result;
}

/// Returns the offset in a payload of the first word of the record's cell `i` (1..7).
[[nodiscard]] constexpr std::size_t first_word_of_cell(std::size_t i) {
  return sizeof(mews::layout::Cell::payload) + (i - 1) * mews::layout::kCellBytes;
}

/// Puts a word into a payload.
inline void put_word(std::span<std::byte> payload, std::size_t at, std::uint64_t word) {
  std::memcpy(payload.data() + at, &word, sizeof word);
}

}  // namespace mews_test
