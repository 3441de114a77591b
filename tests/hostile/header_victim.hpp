// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/lane_fixture.hpp"
#include "../support/shared_page.hpp"
#include "mews/mem/slab_pool.hpp"

/// An arena whose header another process scribbles over.
namespace hostile_test {

using HeaderPage = std::array<unsigned char, mews::layout::kPageBytes>;

class Victim {
 public:
  Victim() : arena_(mews_test::make_arena()), page_(arena_.file().fd()), whole_(*page_) {}

  [[nodiscard]] const mews::layout::Geometry& geometry() const noexcept {
    return arena_.geometry();
  }
  [[nodiscard]] HeaderPage& page() noexcept { return *page_; }
  [[nodiscard]] mews::layout::ArenaHeader& header() noexcept {
    return *reinterpret_cast<mews::layout::ArenaHeader*>(page_->data());
  }
  [[nodiscard]] bool is_changed() const noexcept { return *page_ != whole_; }
  void heal() noexcept { *page_ = whole_; }
  void mend_checksum() noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (std::size_t i = 0; i < mews::layout::kChecksummedBytes; ++i)
      hash = (hash ^ (*page_)[i]) * 0x100000001b3;
    header().fields.checksum = hash;
  }

  [[nodiscard]] mews::Result<mews::mem::Arena> attach() const {
    return mews_test::attach_to(arena_.file(), std::chrono::seconds(0));
  }

 private:
  mews::mem::Arena arena_;
  mews_test::Mapped<HeaderPage> page_;
  HeaderPage whole_;
};

/// Whether an error says what is wrong with the header.
[[nodiscard]] inline bool is_named(const mews::Error& error) {
  using mews::ErrorCode;
  constexpr std::array kNamed{ErrorCode::not_an_arena, ErrorCode::version_mismatch,
                              ErrorCode::bad_geometry, ErrorCode::not_ready};
  return std::find(kNamed.begin(), kNamed.end(), error.code()) != kNamed.end() &&
         !error.message().empty();
}

/// The first and last bytes of a slab; all of it would take long.
[[nodiscard]] inline std::array<std::span<std::byte>, 2> ends_of(const mews::mem::Slab& slab,
                                                                 std::uint64_t bytes) {
  const auto part = std::min<std::uint64_t>(bytes / 2, mews::layout::kPageBytes);
  return {std::span(slab.data, part), std::span(slab.data + bytes - part, part)};
}

/// Takes a slab of each class and writes to it, so that parts that overlap overwrite each other.
[[nodiscard]] inline std::string use_slabs(const mews::mem::Arena& arena) {
  mews::mem::SlabPool pool(arena, mews::kHostPeer);
  std::vector<mews::mem::Slab> slabs;
  for (std::uint32_t c = 0; c < arena.class_count(); ++c) {
    const auto bytes = arena.geometry().classes[c].slab_bytes;
    const auto slab = mews_test::try_claim(pool, bytes);
    if (!slab) return "no slab of class " + std::to_string(c) + ": " + slab.error().message();
    if (slab->size_class.value() != c) return "a slab of another class";
    for (const auto end : ends_of(*slab, bytes))
      std::memset(end.data(), static_cast<int>(c + 1), end.size());
    slabs.push_back(*slab);
  }
  const auto held = mews::mem::audit(arena).peers;
  if (held.size() != 1 || held[0].held != slabs.size()) return "the census sees other holders";
  for (const auto& slab : slabs) {
    const auto bytes = arena.geometry().classes[slab.size_class.value()].slab_bytes;
    const std::byte mine{static_cast<unsigned char>(slab.size_class.value() + 1)};
    for (const auto end : ends_of(slab, bytes)) {
      const auto is_mine = [mine](std::byte byte) { return byte == mine; };
      if (!std::all_of(end.begin(), end.end(), is_mine)) return "slabs overlap";
    }
    if (!pool.release(slab)) return "a slab that is held could not be released";
  }
  return mews::mem::audit(arena).is_all_free() ? "" : "not all is free";
}

/// One record through each lane, all published before the first is read.
[[nodiscard]] inline std::string use_lanes(const mews::mem::Arena& arena) {
  constexpr std::size_t kBytes = 100;
  const auto lanes = arena.geometry().lane_count();
  for (std::uint32_t i = 0; i < lanes; ++i) {
    mews::ring::LaneProducer producer(arena.lane(mews::LaneId{i}), arena.cells(mews::LaneId{i}));
    if (producer.try_stage(mews_test::message(i, kBytes), mews_test::pattern(kBytes, i),
                           mews::ring::Room::ordinary) != mews::ring::Push::done) {
      return "lane " + std::to_string(i) + " takes nothing";
    }
    producer.publish();
  }
  for (std::uint32_t i = 0; i < lanes; ++i) {
    mews::ring::LaneConsumer consumer(arena.lane(mews::LaneId{i}), arena.cells(mews::LaneId{i}));
    mews::layout::Descriptor record;
    if (consumer.look(record) != mews::ring::Look::record) return "a record is missing";
    if (record.correlation != i || record.bytes != kBytes) return "another lane's record";
    const auto sent = mews_test::pattern(kBytes, i);
    const auto bytes = consumer.inline_payload(record);
    if (!std::equal(sent.begin(), sent.end(), bytes.begin(), bytes.end())) return "other bytes";
    consumer.advance(record);
  }
  return {};
}

/// Uses every part of an arena; what is wrong with it, or nothing.
[[nodiscard]] inline std::string use(const mews::mem::Arena& arena) {
  for (std::uint32_t i = 0; i < arena.geometry().peer_capacity; ++i)
    arena.peer(mews::PeerId{i}).seat.store(i, std::memory_order_relaxed);
  if (auto wrong = use_slabs(arena); !wrong.empty()) return wrong;
  if (auto wrong = use_lanes(arena); !wrong.empty()) return wrong;
  for (std::uint32_t i = 0; i < arena.geometry().peer_capacity; ++i) {
    if (arena.peer(mews::PeerId{i}).seat.load(std::memory_order_relaxed) != i)
      return "peers overlap";
  }
  return {};
}

}  // namespace hostile_test
