// SPDX-License-Identifier: MIT
#include <cstdint>

#include "../support/catch.hpp"
#include "mews/layout/cell.hpp"

namespace {

using namespace mews::layout;

constexpr std::uint64_t kLastPosition = (std::uint64_t{1} << 48) - 2;

}  // namespace

TEST_CASE("mark: zero and an unwritten cell are the mark of no position") {
  for (std::uint64_t position = 0; position < 4096; ++position) {
    if (is_mark_of(0, position)) FAIL("zero is the mark of " << position);
  }
  CHECK_FALSE(is_mark_of(0, kLastPosition));
}

TEST_CASE("mark: it names its own position and no other of the cell") {
  for (const std::uint64_t position :
       {std::uint64_t{0}, std::uint64_t{31}, std::uint64_t{1} << 40, kLastPosition}) {
    const auto mark = make_mark(position, 8, RecordKind::close, 0xfe);
    CHECK(is_mark_of(mark, position));
    CHECK_FALSE(is_mark_of(mark, position + 32));
    CHECK_FALSE(is_mark_of(mark, position + 1));
    CHECK_FALSE(is_mark_of(mark, position - 32));
  }
}

TEST_CASE("mark: cells, kind and class lie in the bits that the diagram says") {
  const auto mark = make_mark(6, 5, RecordKind::filler, 0xab);
  CHECK((mark & 0xf) == 5);
  CHECK((mark >> 4 & 0xf) == 2);
  CHECK((mark >> 8 & 0xff) == 0xab);
  CHECK(mark >> 16 == 7);
}

TEST_CASE("cell: the extent keeps the largest payload and the last slab apart") {
  const auto extent = make_extent(kMaxPayloadBytes, kMaxSlabsPerClass - 1);
  CHECK((extent & kMaxPayloadBytes) == kMaxPayloadBytes);
  CHECK(extent >> 40 == kMaxSlabsPerClass - 1);
}

TEST_CASE("cell: a record takes as many cells as its payload needs, and at most eight") {
  for (std::size_t bytes = 0; bytes <= kMaxInlineBytes; ++bytes) {
    const auto cells = record_cells(bytes);
    const bool is_enough = cells * kCellBytes >= kDescriptorBytes + bytes;
    const bool is_least = (cells - 1) * kCellBytes < kDescriptorBytes + bytes;
    if (!is_enough || !is_least) FAIL(bytes << " bytes in " << cells << " cells");
  }
  CHECK(record_cells(kMaxInlineBytes) == kMaxRecordCells);
}
