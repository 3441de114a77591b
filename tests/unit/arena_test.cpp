// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "../support/process_state.hpp"
#include "mews/mem/slab_pool.hpp"

namespace {

using namespace mews_test;
using mews::ErrorCode;
using mews::LaneId;
using mews::PeerId;
using mews::mem::Arena;
using mews::os::MemoryFile;

mews::os::UniqueFd duplicate(const MemoryFile& file) {
  return mews::os::UniqueFd(::fcntl(file.fd(), F_DUPFD_CLOEXEC, 0));
}

ErrorCode refusal(MemoryFile file) {
  const auto arena = Arena::attach(std::move(file), std::chrono::seconds(0));
  REQUIRE_FALSE(arena);
  CHECK_FALSE(arena.error().message().empty());
  return arena.error().code();
}

}  // namespace

// A read through a mapping would take a page, or be SIGBUS where there is none.
TEST_CASE("arena: attaching to memory that nobody has written to takes none") {
  const auto file = MemoryFile::create_anonymous("empty", 1 << 20).value();
  CHECK(refusal(MemoryFile::adopt(duplicate(file))) == ErrorCode::not_ready);
  CHECK(file.resident_bytes().value() == 0);
}

TEST_CASE("arena: who attaches without knowing anything sees the same words and bytes") {
  const auto arena = make_arena();
  const auto other = attach_to(arena.file());
  REQUIRE(other);
  CHECK(other->geometry().arena_bytes == arena.geometry().arena_bytes);
  CHECK(other->class_count() == 4);
  arena.lane(LaneId{3}).head.store(77, std::memory_order_relaxed);
  CHECK(other->lane(LaneId{3}).head.load(std::memory_order_relaxed) == 77);
  arena.peer(PeerId{2}).seat.store(5, std::memory_order_relaxed);
  CHECK(other->peer(PeerId{2}).seat.load(std::memory_order_relaxed) == 5);
  arena.cells(LaneId{5}).back().correlation = 99;
  CHECK(other->cells(LaneId{5}).back().correlation == 99);
  CHECK(other->cells(LaneId{5}).size() == 32);

  mews::mem::SlabPool pool(arena, PeerId{1});
  mews::mem::SlabPool taker(*other, PeerId{2});
  auto slab = try_claim(pool, 5000).value();
  std::memset(slab.data, 3, 5000);
  REQUIRE(pool.mark_in_flight(slab, LaneId{0}));
  const auto got = try_accept(
      taker, {.size_class = 1, .index = slab.first.value(), .generation = 1, .bytes = 5000},
      LaneId{0}, PeerId{1});
  REQUIRE(got);
  CHECK(got->data != slab.data);
  CHECK(got->data[4999] == std::byte{3});
}

TEST_CASE("arena: parts of different lanes, peers and classes do not share memory") {
  const auto arena = make_arena();
  for (std::uint32_t i = 0; i < 6; ++i) {
    const auto cells = arena.cells(LaneId{i});
    std::memset(static_cast<void*>(cells.data()), static_cast<int>(i + 1), cells.size_bytes());
  }
  for (std::uint32_t i = 0; i < 6; ++i) {
    const auto cells = arena.cells(LaneId{i});
    const auto word = std::uint64_t{0x0101010101010101} * (i + 1);
    CHECK((cells.front().correlation == word && cells.back().extent == word));
    CHECK(arena.lane(LaneId{i}).head.load(std::memory_order_relaxed) == 0);
  }
  CHECK(arena.peer(PeerId{0}).seat.load(std::memory_order_relaxed) == 0);
  CHECK(truth(arena, k4MiB, 7).pack() == 0);
}

TEST_CASE("arena: memory that nobody has finished is not ready") {
  CHECK(refusal(MemoryFile::create_anonymous("empty", 1 << 20).value()) == ErrorCode::not_ready);
}

TEST_CASE("arena: memory that is too small for a header, or has another size, is refused") {
  CHECK(refusal(MemoryFile::create_anonymous("small", 100).value()) == ErrorCode::bad_geometry);
  const auto arena = make_arena();
  auto longer = MemoryFile::create_anonymous("longer", arena.geometry().arena_bytes + 4096).value();
  const auto from = mews::os::Mapping::map(arena.file(), 4096).value();
  const auto to = mews::os::Mapping::map(longer, 4096).value();
  std::memcpy(to.bytes().data(), from.bytes().data(), 4096);
  CHECK(refusal(std::move(longer)) == ErrorCode::bad_geometry);
}

TEST_CASE("arena: memory of something else is no arena, and one of another version says so") {
  auto file = MemoryFile::create_anonymous("other", 1 << 20).value();
  const auto mapping = mews::os::Mapping::map(file, 4096).value();
  auto& header = *reinterpret_cast<mews::layout::ArenaHeader*>(mapping.bytes().data());
  header.fields.magic = 0x1234;
  CHECK(refusal(MemoryFile::adopt(duplicate(file))) == ErrorCode::not_an_arena);
  header.fields.magic = mews::layout::kMagic;
  header.fields.layout_major = 999;
  CHECK(refusal(MemoryFile::adopt(duplicate(file))) == ErrorCode::version_mismatch);
}

TEST_CASE("arena: who attaches early waits until the creator has finished") {
  const auto check = plan({});
  auto file = MemoryFile::create_anonymous("early", check.geometry.arena_bytes).value();
  auto early = MemoryFile::adopt(duplicate(file));
  mews::Result<Arena> attached = mews::fail(ErrorCode::not_ready);
  std::atomic<pid_t> waiting{0};
  std::thread waiter([&] {
    waiting = ::gettid();
    attached = Arena::attach(std::move(early), std::chrono::seconds(60));
  });
  // It makes no other call that sleeps: it has looked, and is going to look again.
  const bool is_waiting = is_seen_asleep(waiting);
  const auto created = Arena::create(std::move(file), check.geometry);
  waiter.join();
  CHECK(is_waiting);
  REQUIRE(created);
  REQUIRE(attached);
  CHECK(attached->geometry().arena_bytes == created->geometry().arena_bytes);
}
