// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "../support/catch.hpp"
#include "../support/seccomp.hpp"
#include "mews/os/mapping.hpp"
#include "os_support.hpp"
#include "small_disk.hpp"

using mews::ErrorCode;
using mews::os::commit_pages;
using mews::os::Mapping;
using mews::os::MemoryFile;
using os_test::code_of;

namespace {

constexpr std::uint64_t kBytes = 1 << 20;
constexpr std::uint64_t kDiskBytes = 64 << 10;
const auto kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

std::optional<MemoryFile> file_on_small_disk() {
  return os_test::file_on_small_disk({.disk_bytes = kDiskBytes, .file_bytes = kBytes});
}

/// Makes the kernel answer as one before 5.14, which does not know MADV_POPULATE_WRITE.
bool forbid_populate() {
  constexpr int kPopulateWrite = 23;
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kPopulateWrite, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return mews_test::set_filter(program);
}

/// What `commit_pages` says where populating is unknown: 0, an error's code + 1, or 100 for no such
/// place.
int commit_by_fallback(const MemoryFile& file, std::uint64_t bytes) {
  const auto mapping = Mapping::map(file, kBytes);
  if (!mapping || !forbid_populate()) return 100;
  const auto done = commit_pages(file, 0, mapping->bytes().first(bytes));
  return done ? 0 : 1 + static_cast<int>(done.error().code());
}

}  // namespace

TEST_CASE("os: two mappings of one file show the same bytes, which are zero at first") {
  const auto file = MemoryFile::create_anonymous("twice", kBytes).value();
  const auto one = Mapping::map(file, kBytes).value();
  const auto two = Mapping::map(file, kBytes).value();
  REQUIRE(one.bytes().size() == kBytes);
  REQUIRE(one.bytes().data() != two.bytes().data());
  CHECK(one.bytes()[kBytes - 1] == std::byte{0});
  one.bytes()[kBytes - 1] = std::byte{42};
  CHECK(two.bytes()[kBytes - 1] == std::byte{42});
}

TEST_CASE("os: a mapping outlives its file's descriptor and moves without its address") {
  auto first = [] {
    const auto file = MemoryFile::create_anonymous("moved", kBytes).value();
    return Mapping::map(file, kBytes).value();
  }();
  auto* const address = first.bytes().data();
  Mapping second(std::move(first));
  CHECK(first.bytes().empty());  // NOLINT: that is the claim
  CHECK(second.bytes().data() == address);
  second.bytes()[0] = std::byte{1};
  second = Mapping::map(MemoryFile::create_anonymous("other", kBytes).value(), kBytes).value();
  CHECK(second.bytes()[0] == std::byte{0});
}

TEST_CASE("os: a file shorter than the mapping is bad_geometry, and nothing is invalid") {
  const auto file = MemoryFile::create_anonymous("short", kBytes).value();
  CHECK(code_of(Mapping::map(file, kBytes + 1)) == ErrorCode::bad_geometry);
  CHECK(code_of(Mapping::map(file, 0)) == ErrorCode::invalid_argument);
  auto pipe = os_test::make_pipe();
  const auto no_memory = MemoryFile::adopt(std::move(pipe.reader));
  CHECK(code_of(Mapping::map(no_memory, kBytes)) == ErrorCode::bad_geometry);
  CHECK(code_of(Mapping::map(MemoryFile::adopt({}), kBytes)) == ErrorCode::os_error);
}

TEST_CASE("os: a descriptor that may only be read is permission_denied, without an exception") {
  const auto file = MemoryFile::create_anonymous("read-only", kBytes).value();
  const auto path = "/proc/self/fd/" + std::to_string(file.fd());
  const auto reader =
      MemoryFile::adopt(mews::os::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
  CHECK(code_of(Mapping::map(reader, kBytes)) == ErrorCode::permission_denied);
}

TEST_CASE("os: a child forked without exec has no mapping to write into") {
  const auto file = MemoryFile::create_anonymous("dontfork", kBytes).value();
  const auto mapping = Mapping::map(file, kBytes).value();
  mapping.bytes()[0] = std::byte{1};
  os_test::Fork child([&mapping] {
    ::signal(SIGSEGV, SIG_DFL);  // sanitizers and Catch2 have handlers of their own
    const_cast<volatile std::byte*>(mapping.bytes().data())[0] = std::byte{2};
    return 0;
  });
  const auto outcome = child.outcome();
  CHECK_THAT(outcome, Catch::Matchers::ContainsSubstring("signal " + std::to_string(SIGSEGV)));
  CHECK(mapping.bytes()[0] == std::byte{1});
}

TEST_CASE("os: a forked child that destroys what it inherited unmaps nothing of its own") {
  const auto file = MemoryFile::create_anonymous("dontfork", kBytes).value();
  auto mapping = std::make_optional(Mapping::map(file, kBytes).value());
  void* const place = mapping->bytes().data();
  os_test::Fork child([&] {
    // The kernel may well put the child's next mapping just there.
    void* const own = ::mmap(place, kBytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (own != place) return 1;
    mapping.reset();
    return ::msync(own, kBytes, MS_ASYNC) == 0 ? 0 : 2;  // fails where nothing is mapped
  });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE("os: a commit takes exactly the pages of its range, keeps content, may be repeated") {
  const auto file = MemoryFile::create_anonymous("commit", kBytes).value();
  const auto mapping = Mapping::map(file, kBytes).value();
  mapping.bytes()[2 * kPage] = std::byte{42};
  REQUIRE(file.resident_bytes().value() == kPage);
  const std::uint64_t offset = 2 * kPage - 1;  // the last byte of page 1 to the first of page 4
  const auto range = mapping.bytes().subspan(offset, 2 * kPage + 2);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(commit_pages(file, offset, range));
    CHECK(file.resident_bytes().value() == 4 * kPage);
  }
  CHECK(mapping.bytes()[2 * kPage] == std::byte{42});
  CHECK(commit_pages(file, 0, {}));
}

TEST_CASE("os: a commit on a full file system is out_of_memory, and what it gave can be used") {
  const auto file = file_on_small_disk();
  if (!file) SKIP("no tmpfs may be mounted here");
  const auto mapping = Mapping::map(*file, kBytes).value();
  REQUIRE(commit_pages(*file, 0, mapping.bytes().first(kDiskBytes / 2)));
  std::memset(mapping.bytes().data(), 1, kDiskBytes / 2);

  const auto refused = commit_pages(*file, 0, mapping.bytes());
  REQUIRE(code_of(refused) == ErrorCode::out_of_memory);
  CHECK_THAT(refused.error().message(), Catch::Matchers::ContainsSubstring("1048576 bytes"));
  CHECK_THAT(refused.error().message(), Catch::Matchers::ContainsSubstring("No space left"));
  CHECK(file->resident_bytes().value() <= kDiskBytes);
  CHECK(mapping.bytes()[kDiskBytes / 2 - 1] == std::byte{1});

  REQUIRE(::fallocate(file->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kBytes) == 0);
  CHECK(commit_pages(*file, kBytes - kPage, mapping.bytes().last(kPage)));
}

TEST_CASE("os: without a commit a full file system is SIGBUS, which is why there is one") {
  const auto file = file_on_small_disk();
  if (!file) SKIP("no tmpfs may be mounted here");
  os_test::Fork child([&file] {
    ::signal(SIGBUS, SIG_DFL);
    const auto mapping = Mapping::map(*file, kBytes);
    if (!mapping) return 1;
    std::memset(mapping->bytes().data(), 1, kBytes);
    return 0;
  });
  const auto outcome = child.outcome();
  CHECK_THAT(outcome, Catch::Matchers::ContainsSubstring("signal " + std::to_string(SIGBUS)));
}

TEST_CASE("os: a kernel that cannot populate commits by fallocate, with the same errors") {
  const auto file = MemoryFile::create_anonymous("old kernel", kBytes).value();
  os_test::Fork child([&file] { return commit_by_fallback(file, 3 * kPage); });
  const auto outcome = child.outcome();
  if (outcome == "exit code 100") SKIP("no seccomp filter may be set here");
  CHECK(outcome == "exit code 0");
  CHECK(file.resident_bytes().value() == 3 * kPage);

  const auto small = file_on_small_disk();
  if (!small) SKIP("no tmpfs may be mounted here");
  os_test::Fork refused([&small] { return commit_by_fallback(*small, kBytes); });
  const int out_of_memory = 1 + static_cast<int>(ErrorCode::out_of_memory);
  CHECK(refused.outcome() == "exit code " + std::to_string(out_of_memory));
}
