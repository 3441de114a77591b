// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include <cstdint>
#include <cstring>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/mem/slab_pool.hpp"
#include "small_disk.hpp"

namespace {

using namespace mews_test;
using mews::ErrorCode;
using mews::LaneId;
using mews::PeerId;
using mews::layout::TruthWord;
using mews::mem::Arena;
using mews::mem::Slab;
using mews::mem::SlabPool;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr LaneId kLane{0};

/// An arena on a file system that its slabs fill, as two processes have it.
struct FullDisk {
  mews::layout::Geometry geometry =
      plan({.classes = {{4096, 512}, {65536, 64}, {kMiB, 8}}}).geometry;
  std::optional<Arena> one;
  std::optional<Arena> two;

  FullDisk() {
    auto file =
        os_test::file_on_small_disk({.disk_bytes = kMiB, .file_bytes = geometry.arena_bytes});
    if (!file) return;
    one.emplace(value_or_throw(Arena::create(std::move(*file), geometry)));
    value_or_throw(one->commit_control());
    two.emplace(value_or_throw(attach_to(one->file())));
  }
  /// Every word says that all of its slab has memory behind it.
  void scribble_backed() const {
    for (std::uint32_t c = 0; c < 3; ++c) {
      const auto& view = one->view(mews::ClassId{c});
      for (std::uint32_t i = 0; i < view.geometry.slab_count; ++i) {
        view.words[i].fetch_or(std::uint64_t{mews::layout::kFullyBacked} << 28,
                               std::memory_order_relaxed);
      }
    }
  }
};

}  // namespace

TEST_CASE("backing: a full file system is an error at the claim, whatever the truth words say") {
  const FullDisk disk;
  if (!disk.one) SKIP("no tmpfs may be mounted here");
  disk.scribble_backed();
  SlabPool pool(*disk.one, PeerId{1});
  std::vector<Slab> held;
  for (;;) {
    const auto slab = try_claim(pool, 65536);
    if (!slab) {
      CHECK(slab.error().code() == ErrorCode::out_of_memory);
      CHECK_THAT(slab.error().message(), Catch::Matchers::ContainsSubstring("No space left"));
      break;
    }
    std::memset(slab->data, 1, 65536);  // SIGBUS, if there were no pages
    held.push_back(*slab);
  }
  CHECK((held.size() > 4 && held.size() < 16));
  CHECK(audit(*disk.one).classes[1].held == held.size());
  for (const auto& slab : held)
    CHECK(pool.release(slab));
}

TEST_CASE(
    "backing: a claim that gets pages for others, too, does without where there are no more") {
  const FullDisk disk;
  if (!disk.one) SKIP("no tmpfs may be mounted here");
  SlabPool pool(*disk.one, PeerId{1});
  std::vector<Slab> held;
  while (const auto slab = try_claim(pool, 4096)) {
    std::memset(slab->data, 1, 4096);  // SIGBUS, if there were no pages
    held.push_back(*slab);
  }
  const auto before = held.size();
  CHECK(before > 64);
  // Every page that the file system has is of use.
  CHECK(try_claim(pool, 4096).error().code() == ErrorCode::out_of_memory);
  CHECK(disk.one->file().resident_bytes().value() == kMiB);
  REQUIRE(pool.release(held.back()));
  CHECK(try_claim(pool, 4096));
}

TEST_CASE("backing: pages that one process had no room for are given back, the others' stay") {
  const FullDisk disk;
  if (!disk.one) SKIP("no tmpfs may be mounted here");
  SlabPool pool(*disk.one, PeerId{1});
  const auto before = disk.one->file().resident_bytes().value();
  const auto small = try_claim(pool, 65536).value();
  std::memset(small.data, 1, 65536);
  CHECK(try_claim(pool, kMiB).error().code() == ErrorCode::out_of_memory);
  CHECK(disk.one->file().resident_bytes().value() <= before + 65536 + 2 * 4096);
  CHECK(small.data[65535] == std::byte{1});
}

TEST_CASE("backing: a full file system is an error at the receiver, and the record stays") {
  const FullDisk disk;
  if (!disk.one) SKIP("no tmpfs may be mounted here");
  SlabPool sender(*disk.one, PeerId{1});
  SlabPool receiver(*disk.two, PeerId{2});
  std::vector<Slab> held;
  while (auto slab = try_claim(sender, 65536))
    held.push_back(*slab);
  // As a scribbler would have it: on its way to the receiver, all there by its word, without pages.
  const TruthWord word{.phase = mews::layout::Phase::in_flight,
                       .holder = 1,
                       .lane = 0,
                       .backed_eighths = mews::layout::kFullyBacked,
                       .generation = 7};
  auto& shared = disk.one->view(mews::ClassId{2}).words[3];
  shared.store(word.pack(), std::memory_order_relaxed);
  const mews::mem::SlabHandle claim{
      .size_class = 2, .index = 3, .generation = 7, .bytes = kMiB / 2};
  Slab slab;
  CHECK(receiver.accept(slab, claim, kLane, PeerId{1}) == ErrorCode::out_of_memory);
  CHECK(shared.load(std::memory_order_relaxed) == word.pack());

  // With room again the same record is received.
  const auto& row = disk.geometry.classes[1];
  REQUIRE(::fallocate(disk.one->file().fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(row.slabs_offset),
                      static_cast<off_t>(row.slab_count * row.slab_bytes)) == 0);
  REQUIRE_FALSE(receiver.accept(slab, claim, kLane, PeerId{1}));
  std::memset(slab.data, 1, kMiB / 2);
  CHECK(receiver.release(slab));
}

TEST_CASE("backing: pages are asked for until the deadline, a mebibyte at least, and stay") {
  const auto arena = make_arena();
  SlabPool pool(arena, PeerId{1});
  const auto in_no_time = [] { return mews::Deadline(std::chrono::seconds(0)); };
  Slab run;
  std::uint64_t resident = 0;
  int calls = 0;
  for (;; ++calls) {
    const auto claimed = pool.try_claim(run, 32 * kMiB, in_no_time);
    if (claimed) break;
    REQUIRE(claimed.error().code() == ErrorCode::timed_out);
    CHECK_THAT(claimed.error().message(),
               Catch::Matchers::ContainsSubstring("of 33554432 bytes so far"));
    CHECK(run.count == 0);
    CHECK(audit(arena).is_all_free());
    const auto now = arena.file().resident_bytes().value();
    REQUIRE(now > resident);
    resident = now;
  }
  CHECK(calls == 31);
  CHECK(pool.release(run));
  CHECK(try_claim(pool, 32 * kMiB));
}
