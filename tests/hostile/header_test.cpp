// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "header_victim.hpp"
#include "mews/mews.hpp"

using namespace hostile_test;
using namespace mews::layout;
using mews::ErrorCode;

namespace {

constexpr std::size_t kFieldBytes = sizeof(HeaderFields);

struct Field {
  std::size_t offset;
  std::size_t bytes;
};

/// Every field of the header, each row of the class table included.
std::vector<Field> fields() {
  std::vector<Field> all{{0, 8},  {8, 4},  {12, 4}, {16, 8}, {24, 8}, {32, 8},
                         {40, 4}, {44, 4}, {48, 4}, {52, 4}, {56, 4}, {60, 4},
                         {64, 8}, {72, 8}, {80, 8}, {88, 8}, {96, 8}, {104, 8}};
  for (std::size_t i = 0; i < kMaxClasses; ++i) {
    const auto row = offsetof(HeaderFields, classes) + i * sizeof(ClassEntry);
    all.insert(all.end(), {{row, 8},
                           {row + 8, 4},
                           {row + 12, 4},
                           {row + 16, 8},
                           {row + 24, 8},
                           {row + 32, 8},
                           {row + 40, 8}});
  }
  all.push_back({offsetof(HeaderFields, checksum), 8});
  return all;
}

/// Values that have broken such checks elsewhere.
std::vector<std::uint64_t> wrong_values(std::uint64_t right) {
  std::vector<std::uint64_t> values{0,
                                    1,
                                    2,
                                    3,
                                    4095,
                                    4096,
                                    4097,
                                    right + 1,
                                    right - 1,
                                    right * 2,
                                    right / 2,
                                    ~right,
                                    ~std::uint64_t{0},
                                    right + 8,
                                    right + 4096};
  for (int bit = 0; bit < 64; bit += 3)
    values.push_back(right ^ std::uint64_t{1} << bit);
  for (int bit : {31, 32, 62, 63}) {
    values.push_back((std::uint64_t{1} << bit) - 1);
    values.push_back(std::uint64_t{1} << bit);
    values.push_back(std::uint64_t{0} - (std::uint64_t{1} << bit) + 4096);
  }
  return values;
}

/// Attaches to what may lie: an error that says so, or an arena that works as it says. Nothing, or
/// what is wrong. The victim is as new afterwards.
std::string meet(std::optional<Victim>& victim) {
  const auto arena = victim->attach();
  // One that says of itself what is true is used by a test of its own.
  if (!arena || arena->geometry() == victim->geometry()) {
    victim->heal();
    return arena || is_named(arena.error()) ? "" : arena.error().message();
  }
  auto wrong = use(*arena);
  victim.emplace();
  return wrong;
}

}  // namespace

TEST_CASE("header: the fields that the tests damage are all bytes of it, each once") {
  std::size_t end = 0;
  for (const auto& field : fields()) {
    CHECK(field.offset == end);
    end = field.offset + field.bytes;
  }
  CHECK(end == kFieldBytes);
}

TEST_CASE("header: what the following tests damage can be used while it is whole") {
  const Victim victim;
  const auto arena = victim.attach();
  REQUIRE(arena);
  CHECK(arena->geometry() == victim.geometry());
  CHECK(use(*arena) == "");
}

TEST_CASE("header: one wrong field is an error, each of its wrong values") {
  Victim victim;
  for (const auto& field : fields()) {
    std::uint64_t right = 0;
    std::memcpy(&right, victim.page().data() + field.offset, field.bytes);
    for (const auto value : wrong_values(right)) {
      std::memcpy(victim.page().data() + field.offset, &value, field.bytes);
      if (!victim.is_changed()) continue;
      const auto arena = victim.attach();
      if (arena || !is_named(arena.error())) {
        FAIL_CHECK("offset " << field.offset << " = " << value << ": "
                             << (arena ? "attached" : arena.error().message()));
      }
      victim.heal();
    }
  }
  CHECK(victim.attach());
}

TEST_CASE("header: a field that lies with a right checksum is an error, or tells another truth") {
  std::optional<Victim> victim(std::in_place);
  for (const auto& field : fields()) {
    std::uint64_t right = 0;
    std::memcpy(&right, victim->page().data() + field.offset, field.bytes);
    for (const auto value : wrong_values(right)) {
      std::memcpy(victim->page().data() + field.offset, &value, field.bytes);
      victim->mend_checksum();
      if (const auto wrong = meet(victim); !wrong.empty()) {
        FAIL_CHECK("offset " << field.offset << " = " << value << ": " << wrong);
      }
    }
  }
}

TEST_CASE("header: each byte of the first page, each bit of it flipped, is an error or unused") {
  Victim victim;
  for (std::size_t at = 0; at < kPageBytes; ++at) {
    for (const int mask : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      victim.page()[at] ^= static_cast<unsigned char>(mask);
      const auto arena = victim.attach();
      const bool is_used = at < kFieldBytes + sizeof(std::uint32_t);
      const bool is_right = is_used ? !arena && is_named(arena.error())
                                    : arena && arena->geometry() == victim.geometry();
      if (!is_right) FAIL_CHECK("byte " << at << " ^ " << mask);
      victim.heal();
    }
  }
}

TEST_CASE("header: an arena whose file was cut short is an error at every length") {
  const auto geometry = mews_test::plan({}).geometry;
  const auto whole = geometry.arena_bytes;
  for (const std::uint64_t bytes :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{887}, std::uint64_t{895},
        std::uint64_t{896}, std::uint64_t{4095}, std::uint64_t{4096}, std::uint64_t{4097},
        whole / 2, whole - 4096, whole - 1, whole + 1, whole + 4096}) {
    // Unlike a sealed one, this can be truncated.
    mews::os::UniqueFd fd(::memfd_create("mews-test", MFD_CLOEXEC));
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(whole)) == 0);
    const auto made = mews_test::value_or_throw(mews::mem::Arena::create(
        mews::os::MemoryFile::adopt(mews::os::UniqueFd(::dup(fd.get()))), geometry));
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0);
    const auto arena = mews::mem::Arena::attach(mews::os::MemoryFile::adopt(std::move(fd)),
                                                std::chrono::milliseconds(1));
    REQUIRE_FALSE(arena);
    CHECK(arena.error().code() == (bytes == 0 ? ErrorCode::not_ready : ErrorCode::bad_geometry));
  }
}

TEST_CASE("header: random memory is not an arena, or one that works as it says") {
  const auto seed = mews_test::make_seed("random memory");
  mews_test::Random random(seed);
  INFO("MEWS_TEST_SEED=" << seed);
  std::optional<Victim> victim(std::in_place);
  const auto rounds = mews_test::scaled(4000);
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const auto begin = i % 4 == 0 ? 0 : mews_test::between(random, 12, 800);
    const auto end = i % 4 == 0 ? kPageBytes : begin + mews_test::between(random, 1, 40);
    for (auto at = begin; at < end; ++at)
      victim->page()[at] = static_cast<unsigned char>(random());
    if (i % 3 != 0) {
      victim->header().fields.magic = kMagic;
      victim->header().fields.layout_major = kLayoutMajor;
      victim->header().ready.store(kReady, std::memory_order_release);
    }
    const bool is_mended = i % 2 == 0;
    if (is_mended) victim->mend_checksum();
    if (!is_mended && victim->is_changed()) CHECK_FALSE(victim->attach());
    CHECK(meet(victim) == "");
  }
}

TEST_CASE("header: a session that attaches by name meets the same checks") {
  const auto name = "mews-test-header-" + std::to_string(::getpid());
  mews::CreateOptions options;
  options.name = name;
  options.backing = mews::Backing::named;
  const auto host = mews_test::value_or_throw(mews::Session::create(options));
  const mews::os::UniqueFd fd(::open(("/dev/shm/mews-" + name).c_str(), O_RDWR | O_CLOEXEC));
  const mews_test::Mapped<HeaderPage> page(fd.get());
  for (std::size_t at = 0; at < kFieldBytes + sizeof(std::uint32_t); ++at) {
    (*page)[at] ^= 0xff;
    const auto session =
        mews::Session::attach({.name = name, .timeout = std::chrono::nanoseconds(1)});
    (*page)[at] ^= 0xff;
    REQUIRE_FALSE(session);
    if (!is_named(session.error())) {
      FAIL_CHECK("byte " << at << ": " << session.error().message());
    }
  }
}
