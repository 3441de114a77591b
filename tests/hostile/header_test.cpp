// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "mews/mews.hpp"

using namespace mews::layout;
using mews::ErrorCode;

namespace {

constexpr std::size_t kFieldBytes = sizeof(HeaderFields);

/// An arena, and its first page as another process could scribble over it.
class Victim {
 public:
  Victim() : arena_(mews_test::make_arena()), fd_(::fcntl(arena_.file().fd(), F_DUPFD_CLOEXEC, 0)) {
    void* page = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (page == MAP_FAILED) throw std::runtime_error("mmap");
    page_ = static_cast<unsigned char*>(page);
    std::memcpy(whole_.data(), page_, kPageBytes);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  ~Victim() { ::munmap(page_, kPageBytes); }

  [[nodiscard]] unsigned char* page() noexcept { return page_; }
  [[nodiscard]] ArenaHeader& header() noexcept { return *reinterpret_cast<ArenaHeader*>(page_); }
  void heal() noexcept { std::memcpy(page_, whole_.data(), kPageBytes); }

  /// What attaching says now; what did attach must be the whole arena.
  [[nodiscard]] std::string attach() {
    auto file =
        mews::os::MemoryFile::adopt(mews::os::UniqueFd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)));
    const auto arena = mews::mem::Arena::attach(std::move(file), std::chrono::seconds(0));
    if (!arena) return std::string(to_string(arena.error().code()));
    return arena->geometry() == arena_.geometry() ? "ok" : "another geometry";
  }
  void mend_checksum() noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (std::size_t i = 0; i < kChecksummedBytes; ++i)
      hash = (hash ^ page_[i]) * 0x100000001b3;
    header().fields.checksum = hash;
  }

 private:
  mews::mem::Arena arena_;
  mews::os::UniqueFd fd_;
  unsigned char* page_ = nullptr;
  std::array<unsigned char, kPageBytes> whole_{};
};

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

}  // namespace

TEST_CASE("header: one wrong field is an error, each of its wrong values") {
  Victim victim;
  REQUIRE(victim.attach() == "ok");
  for (const auto& field : fields()) {
    std::uint64_t right = 0;
    std::memcpy(&right, victim.page() + field.offset, field.bytes);
    for (const auto value : wrong_values(right)) {
      std::uint64_t written = 0;
      std::memcpy(&written, &value, field.bytes);
      if (written == right) continue;
      std::memcpy(victim.page() + field.offset, &value, field.bytes);
      const auto said = victim.attach();
      if (said == "ok" || said == "another geometry") {
        FAIL_CHECK("offset " << field.offset << " = " << value << ": " << said);
      }
      victim.heal();
    }
  }
  CHECK(victim.attach() == "ok");
}

TEST_CASE("header: a field that lies with a right checksum is an error, or does no harm") {
  Victim victim;
  for (const auto& field : fields()) {
    std::uint64_t right = 0;
    std::memcpy(&right, victim.page() + field.offset, field.bytes);
    for (const auto value : wrong_values(right)) {
      std::memcpy(victim.page() + field.offset, &value, field.bytes);
      victim.mend_checksum();
      CHECK_FALSE(victim.attach().empty());
      victim.heal();
    }
  }
  CHECK(victim.attach() == "ok");
}

TEST_CASE("header: each byte of the first page, each bit of it flipped, is an error or unused") {
  Victim victim;
  for (std::size_t at = 0; at < kPageBytes; ++at) {
    for (const int mask : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      victim.page()[at] ^= static_cast<unsigned char>(mask);
      const auto said = victim.attach();
      const bool is_used = at < kFieldBytes + sizeof(std::uint32_t);
      if ((said == "ok") == is_used) FAIL_CHECK("byte " << at << " ^ " << mask << ": " << said);
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

TEST_CASE("header: random memory is not an arena") {
  const auto seed = mews_test::make_seed("random memory");
  mews_test::Random random(seed);
  INFO("MEWS_TEST_SEED=" << seed);
  Victim victim;
  const auto rounds = mews_test::scaled(4000);
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const auto begin = i % 4 == 0 ? 0 : mews_test::between(random, 12, 800);
    const auto end = i % 4 == 0 ? kPageBytes : begin + mews_test::between(random, 1, 40);
    for (auto at = begin; at < end; ++at)
      victim.page()[at] = static_cast<unsigned char>(random());
    if (i % 3 != 0) {
      victim.header().fields.magic = kMagic;
      victim.header().fields.layout_major = kLayoutMajor;
      victim.header().ready.store(kReady, std::memory_order_release);
    }
    if (i % 2 == 0) victim.mend_checksum();
    CHECK_FALSE(victim.attach().empty());
    victim.heal();
  }
}

TEST_CASE("header: a session that attaches by name meets the same checks") {
  const auto name = "mews-test-header-" + std::to_string(::getpid());
  mews::CreateOptions options;
  options.name = name;
  options.backing = mews::Backing::named;
  const auto host = mews_test::value_or_throw(mews::Session::create(options));
  const mews::os::UniqueFd fd(::open(("/dev/shm/mews-" + name).c_str(), O_RDWR | O_CLOEXEC));
  void* mapped = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  REQUIRE(mapped != MAP_FAILED);
  auto* page = static_cast<unsigned char*>(mapped);
  for (std::size_t at = 0; at < kFieldBytes + sizeof(std::uint32_t); ++at) {
    page[at] ^= 0xff;
    const auto session =
        mews::Session::attach({.name = name, .timeout = std::chrono::nanoseconds(1)});
    page[at] ^= 0xff;
    REQUIRE_FALSE(session);
    const auto code = session.error().code();
    const bool is_named = code == ErrorCode::not_an_arena || code == ErrorCode::version_mismatch ||
                          code == ErrorCode::bad_geometry || code == ErrorCode::not_ready;
    if (!is_named) FAIL_CHECK("byte " << at << ": " << session.error().message());
  }
  ::munmap(mapped, kPageBytes);
}
