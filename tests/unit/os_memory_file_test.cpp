// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "../support/catch.hpp"
#include "../support/named_file.hpp"
#include "mews/os/memory_file.hpp"
#include "os_support.hpp"

using mews::ErrorCode;
using mews::os::MemoryFile;
using os_test::code_of;

namespace {

constexpr std::uint64_t kBytes = 1 << 20;
constexpr uid_t kNobody = 65534;

/// A name of its own for a test, unlinked at both ends.
struct Name {
  explicit Name(const char* test) : text("mews-test-" + std::to_string(::getpid()) + "-" + test) {
    MemoryFile::unlink_named(text);
  }
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  ~Name() { MemoryFile::unlink_named(text); }
  std::string text;
};

/// How a process of another user (where this one is root) fares when it opens `name`.
std::string open_as_nobody(const std::string& name) {
  os_test::Fork child([&name] {
    if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) return 100;
    const auto opened = MemoryFile::open_named(name);
    return opened ? 0 : 1 + static_cast<int>(opened.error().code());
  });
  return child.outcome();
}

std::string exit_of(ErrorCode code) {
  return "exit code " + std::to_string(1 + static_cast<int>(code));
}

}  // namespace

TEST_CASE("os: anonymous memory has its size at once and takes no page") {
  const auto file = MemoryFile::create_anonymous("sparse", std::uint64_t{6} << 30).value();
  CHECK(file.bytes().value() == std::uint64_t{6} << 30);
  CHECK(file.resident_bytes().value() == 0);
  CHECK((::fcntl(file.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("os: resident bytes count the pages that were written") {
  const auto file = MemoryFile::create_anonymous("pages", kBytes).value();
  REQUIRE(::pwrite(file.fd(), "x", 1, kBytes / 2) == 1);
  CHECK(file.resident_bytes().value() == static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
}

TEST_CASE("os: anonymous memory can neither grow, shrink nor be sealed further") {
  const auto file = MemoryFile::create_anonymous("sealed", kBytes).value();
  CHECK(file.is_sealed());
  CHECK(::ftruncate(file.fd(), 0) == -1);
  CHECK(errno == EPERM);
  CHECK(::ftruncate(file.fd(), 2 * kBytes) == -1);
  CHECK(errno == EPERM);
  CHECK(::fcntl(file.fd(), F_ADD_SEALS, F_SEAL_WRITE) == -1);
  CHECK(errno == EPERM);
  CHECK(file.bytes().value() == kBytes);
}

TEST_CASE("os: a label longer than the kernel takes is no reason to fail") {
  CHECK(MemoryFile::create_anonymous(std::string(1000, 'x'), kBytes));
}

TEST_CASE("os: a size that no file can have is an error") {
  const auto file = MemoryFile::create_anonymous("huge", UINT64_MAX);
  REQUIRE_FALSE(file);
  CHECK(file.error().os_errno() != 0);
  CHECK_THAT(file.error().message(), Catch::Matchers::ContainsSubstring("ftruncate"));
}

TEST_CASE("os: named memory is found by its name") {
  const Name name("found");
  const auto made = mews_test::leave_named(name.text, kBytes);
  const auto found = MemoryFile::open_named(name.text).value();
  CHECK(found.bytes().value() == kBytes);
  CHECK((::fcntl(found.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK_FALSE(found.is_sealed());

  struct stat status {};
  REQUIRE(::fstat(made.fd(), &status) == 0);
  struct stat same {};
  REQUIRE(::fstat(found.fd(), &same) == 0);
  CHECK(status.st_ino == same.st_ino);
}

TEST_CASE("os: a name that nobody made, or that was removed, is no_such_arena") {
  const Name name("missing");
  CHECK(code_of(MemoryFile::open_named(name.text)) == ErrorCode::no_such_arena);
  const auto file = mews_test::leave_named(name.text, kBytes);
  MemoryFile::unlink_named(name.text);
  MemoryFile::unlink_named(name.text);
  CHECK(code_of(MemoryFile::open_named(name.text)) == ErrorCode::no_such_arena);
  CHECK(file.bytes().value() == kBytes);
}

TEST_CASE("os: names that could leave the directory are refused") {
  for (const auto& name : {std::string(), std::string("/a"), std::string("a/b"), std::string("."),
                           std::string(".."), std::string("a\0b", 3), std::string(201, 'x')}) {
    CHECK(code_of(MemoryFile::open_named(name)) == ErrorCode::invalid_argument);
    MemoryFile::unlink_named(name);
  }
  const Name longest("longest");
  const auto padded = longest.text + std::string(200 - longest.text.size(), 'x');
  CHECK(code_of(MemoryFile::open_named(padded)) == ErrorCode::no_such_arena);
}

TEST_CASE("os: named memory without permission is permission_denied") {
  const Name name("denied");
  const auto file = mews_test::leave_named(name.text, kBytes);
  REQUIRE(::fchmod(file.fd(), 0) == 0);
  CHECK(open_as_nobody(name.text) == exit_of(ErrorCode::permission_denied));
}

TEST_CASE("os: another user's named memory is refused even where its mode allows it") {
  if (::geteuid() != 0) SKIP("needs root to become another user");
  const Name name("foreign");
  const auto file = mews_test::leave_named(name.text, kBytes);
  REQUIRE(::fchmod(file.fd(), 0666) == 0);
  CHECK(open_as_nobody(name.text) == exit_of(ErrorCode::permission_denied));
}

TEST_CASE("os: an adopted descriptor that is no memory is an error, not a crash") {
  auto pipe = os_test::make_pipe();
  const auto from_pipe = MemoryFile::adopt(std::move(pipe.reader));
  CHECK_FALSE(from_pipe.is_sealed());
  CHECK(from_pipe.bytes().value() == 0);
  const auto from_nothing = MemoryFile::adopt(mews::os::UniqueFd());
  CHECK_FALSE(from_nothing.is_sealed());
  CHECK(code_of(from_nothing.bytes()) == ErrorCode::os_error);
  CHECK(code_of(from_nothing.resident_bytes()) == ErrorCode::os_error);
}
