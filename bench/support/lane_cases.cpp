// SPDX-License-Identifier: MIT
#include "support/lane_cases.hpp"

#include "mews/os/membarrier.hpp"
#include "support/bytes.hpp"
#include "support/lane_end.hpp"

namespace mews::bench {
namespace {

using Lane = LaneBlock<>;
using Buffer = std::array<std::byte, layout::kMaxInlineBytes>;

void use_light_fence() {
  require(os::register_light_fence(), "no asymmetric fence here");
}

}  // namespace

CasePtr lane_stream(const StreamShape& shape) {
  auto lane = make_shared_block<Lane>();
  auto writer = std::make_shared<LaneWriter>(lane->state, lane->cells, shape.wake);
  auto reader = std::make_shared<LaneReader>(lane->state, lane->cells, shape.wake);
  const auto here = [=, kept = lane, seed = std::uint64_t{0}](const Batch& batch) mutable {
    if (shape.wake == Wake::light) use_light_fence();
    Buffer buffer;
    const auto payload = std::span(buffer).first(shape.bytes);
    repeat(batch, [&] {
      for (unsigned i = 0; i < shape.batch; ++i) {
        write_all(payload, ++seed);
        writer->stage(payload);
      }
      writer->publish();
    });
  };
  const auto there = [=, seed = std::uint64_t{0}](const Batch& batch) mutable {
    if (shape.wake == Wake::light) use_light_fence();
    repeat(batch, [&] {
      for (unsigned i = 0; i < shape.batch; ++i) {
        reader->receive([&](std::span<const std::byte> bytes) { check_all(bytes, ++seed); });
      }
    });
  };
  return pair_case(here, there);
}

CasePtr lane_alone(std::size_t bytes) {
  auto lane = make_shared_block<Lane>();
  auto writer = std::make_shared<LaneWriter>(lane->state, lane->cells, Wake::never);
  auto reader = std::make_shared<LaneReader>(lane->state, lane->cells, Wake::never);
  return local_case([=, kept = lane, seed = std::uint64_t{0}](const Batch& batch) mutable {
    Buffer buffer;
    const auto payload = std::span(buffer).first(bytes);
    repeat(batch, [&] {
      write_all(payload, ++seed);
      writer->stage(payload);
      writer->publish();
      reader->receive([&](std::span<const std::byte> received) { check_all(received, seed); });
    });
  });
}

CasePtr lane_round_trip(std::size_t bytes) {
  struct Both {
    Lane there;
    Lane back;
  };
  auto lanes = make_shared_block<Both>();
  const auto writer_of = [](Lane& lane) {
    return std::make_shared<LaneWriter>(lane.state, lane.cells, Wake::never);
  };
  const auto reader_of = [](Lane& lane) {
    return std::make_shared<LaneReader>(lane.state, lane.cells, Wake::never);
  };
  const auto exchange = [bytes](LaneWriter& writer, std::uint64_t seed) {
    Buffer buffer;
    const auto payload = std::span(buffer).first(bytes);
    write_all(payload, seed);
    writer.stage(payload);
    writer.publish();
  };
  const auto take = [](LaneReader& reader, std::uint64_t seed) {
    reader.receive([&](std::span<const std::byte> payload) { check_all(payload, seed); });
  };
  const auto here = [=, kept = lanes, writer = writer_of(lanes->there),
                     reader = reader_of(lanes->back),
                     seed = std::uint64_t{0}](const Batch& batch) mutable {
    repeat(batch, [&] {
      exchange(*writer, ++seed);
      take(*reader, seed);
    });
  };
  const auto there = [=, writer = writer_of(lanes->back), reader = reader_of(lanes->there),
                      seed = std::uint64_t{0}](const Batch& batch) mutable {
    repeat(batch, [&] {
      take(*reader, ++seed);
      exchange(*writer, seed);
    });
  };
  return pair_case(here, there);
}

}  // namespace mews::bench
