// SPDX-License-Identifier: MIT
#include "mews/os/mapping.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "mews/base/assert.hpp"

#if !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23
#endif

namespace mews::inline MEWS_LAYOUT::os {
namespace {

/// A step needs less than a millisecond: a deadline is noticed at most so late.
constexpr std::uint64_t kCommitStep = std::uint64_t{1} << 20;

/// Repeats a call that a signal or a passing shortage cut short. Returns its errno, or 0.
template <class Call>
int errno_of(Call call) noexcept {
  while (call() != 0) {
    if (errno != EINTR && errno != EAGAIN) return errno;
  }
  return 0;
}

std::uint64_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

int protection_of(Access access) noexcept {
  if (access == Access::none) return PROT_NONE;
  return access == Access::read ? PROT_READ : PROT_READ | PROT_WRITE;
}

Error mmap_error(int os_errno, std::uint64_t bytes) {
  // The kernel's error under mlockall(MCL_FUTURE), which locks every later mapping.
  if (os_errno == EAGAIN) {
    return Error(ErrorCode::out_of_memory, os_errno,
                 fmt::format("mmap of {} bytes: this process locks all that it maps "
                             "(mlockall(MCL_FUTURE)), and that is more than it may lock; raise the "
                             "limit (ulimit -l), join before mlockall, or use smaller size_classes",
                             bytes));
  }
  return Error::os(os_errno, "mmap",
                   fmt::format("{} bytes of address space; where that is limited (ulimit -v), use "
                               "smaller size_classes",
                               bytes));
}

/// Puts memory behind whole pages of a mapping. Returns an errno, or 0.
int commit_step(const MemoryFile& file, std::uint64_t offset, std::span<std::byte> pages) noexcept {
  const int failure =
      errno_of([&] { return ::madvise(pages.data(), pages.size(), MADV_POPULATE_WRITE); });
  if (failure != EINVAL) return failure;
  return errno_of([&] {  // before Linux 5.14
    return ::fallocate(file.fd(), 0, static_cast<off_t>(offset), static_cast<off_t>(pages.size()));
  });
}

Error commit_error(int failure, std::uint64_t bytes, std::uint64_t offset) {
  const auto what = [&] {
    return fmt::format("{} bytes at offset {} of the arena", bytes, offset);
  };
  // EFAULT means that a write here would have been SIGBUS: the file system of the memory is full
  // (or the file was truncated, which no process that may do so is expected to do).
  if (failure == EFAULT) failure = ENOSPC;
  if (failure == ENOMEM || failure == ENOSPC) {
    return Error(ErrorCode::out_of_memory, failure, detail_text([&] {
                   return what() +
                          " got no memory; enlarge /dev/shm for a named arena, raise the limit of "
                          "the memory cgroup, or use smaller size_classes";
                 }));
  }
  return Error::os(failure, "commit", detail_text(what));
}

}  // namespace

Mapping::Mapping(std::span<std::byte> bytes) noexcept : bytes_(bytes), mapped_by_(::getpid()) {}

Mapping::Mapping(Mapping&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), mapped_by_(other.mapped_by_) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    unmap();
    bytes_ = std::exchange(other.bytes_, {});
    mapped_by_ = other.mapped_by_;
  }
  return *this;
}

Mapping::~Mapping() {
  unmap();
}

// A forked child does not have the mapping. It may have one of its own at that address by now,
// which munmap would remove.
void Mapping::unmap() noexcept {
  if (!bytes_.empty() && mapped_by_ == ::getpid()) ::munmap(bytes_.data(), bytes_.size());
}

Result<Mapping> Mapping::map(const MemoryFile& file, std::uint64_t bytes) {
  auto mapping = reserve(file, bytes);
  if (!mapping) return mapping;
  auto allowed = mapping->allow(0, bytes, Access::write);
  if (!allowed) return tl::unexpected(std::move(allowed.error()));
  return mapping;
}

Result<Mapping> Mapping::reserve(const MemoryFile& file, std::uint64_t bytes) {
  if (bytes == 0) return fail(ErrorCode::invalid_argument, "a mapping of 0 bytes");
  const auto file_bytes = file.bytes();
  if (!file_bytes) return tl::unexpected(file_bytes.error());
  if (*file_bytes < bytes)
    return fail(ErrorCode::bad_geometry,
                fmt::format("the file has {} bytes, {} are to be mapped", *file_bytes, bytes));
  void* const begin = ::mmap(nullptr, bytes, PROT_NONE, MAP_SHARED, file.fd(), 0);
  if (begin == MAP_FAILED) return tl::unexpected(mmap_error(errno, bytes));
  Mapping mapping({static_cast<std::byte*>(begin), bytes});
  // Nothing was populated, as no access is allowed; after the unlock nothing will be.
  ::munlock(begin, bytes);
  for (const auto& [advice, name] : {std::pair(MADV_DONTFORK, "madvise(MADV_DONTFORK)"),
                                     std::pair(MADV_DONTDUMP, "madvise(MADV_DONTDUMP)")}) {
    if (::madvise(begin, bytes, advice) == 0) continue;
    return tl::unexpected(Error::os(errno, name, fmt::format("{} bytes", bytes)));
  }
  return mapping;
}

Result<void> Mapping::allow(std::uint64_t offset, std::uint64_t bytes, Access access) const {
  const auto begin = offset / page_bytes() * page_bytes();
  if (::mprotect(bytes_.data() + begin, offset + bytes - begin, protection_of(access)) == 0)
    return {};
  const int failure = errno;
  return tl::unexpected(Error::os(failure, "mprotect", detail_text([&] {
                                    return fmt::format("{} bytes at offset {} of the arena", bytes,
                                                       offset);
                                  })));
}

void Mapping::show_in_dumps(std::uint64_t offset, std::uint64_t bytes) const noexcept {
  const auto begin = offset / page_bytes() * page_bytes();
  ::madvise(bytes_.data() + begin, offset + bytes - begin, MADV_DODUMP);
}

Result<std::uint64_t> commit_pages(const MemoryFile& file, std::uint64_t offset,
                                   std::span<std::byte> range, Deadline deadline) {
  if (range.empty()) return 0;
  const auto lead = reinterpret_cast<std::uintptr_t>(range.data()) % page_bytes();
  MEWS_ASSERT(offset % page_bytes() == lead, "commit_pages: offset and range do not match");
  const auto begin = offset - lead;
  const auto end = (offset + range.size() + page_bytes() - 1) / page_bytes() * page_bytes();
  auto* const first = range.data() - lead;

  auto done = begin;
  do {
    const auto step = std::min(end - done, kCommitStep);
    if (const int failure = commit_step(file, done, {first + (done - begin), step})) {
      return tl::unexpected(commit_error(failure, range.size(), offset));
    }
    done += step;
  } while (done < end && !deadline.has_passed());
  return std::min<std::uint64_t>(done - begin - lead, range.size());
}

void discard_pages(const MemoryFile& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
  ::fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(bytes));
}

}  // namespace mews::inline MEWS_LAYOUT::os
