// SPDX-License-Identifier: MIT
#include "mews/os/mapping.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <utility>

#include "mews/base/assert.hpp"
#include "mews/base/kept.hpp"

#if !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23
#endif

namespace mews::os {
namespace {

namespace bip = boost::interprocess;

/// What Boost.Interprocess calls a MemoryMappable: it only has to name the descriptor.
class Mappable {
 public:
  explicit Mappable(const MemoryFile& file) noexcept : handle_{file.fd(), false} {}
  [[nodiscard]] bip::mapping_handle_t get_mapping_handle() const noexcept { return handle_; }

 private:
  bip::mapping_handle_t handle_;
};

/// Repeats a call that a signal or a passing shortage cut short; its errno, or 0.
template <class Call>
int errno_of(Call call) noexcept {
  while (call() != 0) {
    if (errno != EINTR && errno != EAGAIN) return errno;
  }
  return 0;
}

}  // namespace

struct Mapping::Region {
  bip::mapped_region region;
  pid_t mapped_by = ::getpid();
  base::Kept kept = {};
};

// A forked child has not got the mapping. It may have got one of its own at that address since,
// which unmapping would take away.
void Mapping::Unmap::operator()(Region* region) const noexcept {
  if (region->mapped_by == ::getpid()) {
    delete region;
  } else {
    base::keep_for_ever(region->kept);
  }
}

Mapping::Mapping(RegionPtr region, std::span<std::byte> bytes) noexcept
    : region_(std::move(region)), bytes_(bytes) {}

Mapping::Mapping(Mapping&& other) noexcept
    : region_(std::move(other.region_)), bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    region_ = std::move(other.region_);
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

Mapping::~Mapping() = default;

Result<Mapping> Mapping::map(const MemoryFile& file, std::uint64_t bytes) {
  if (bytes == 0) return fail(ErrorCode::invalid_argument, "a mapping of 0 bytes");
  const auto file_bytes = file.bytes();
  if (!file_bytes) return tl::unexpected(file_bytes.error());
  if (*file_bytes < bytes)
    return fail(ErrorCode::bad_geometry,
                fmt::format("the file has {} bytes, {} are to be mapped", *file_bytes, bytes));
  const auto subject = fmt::format("{} bytes", bytes);
  try {
    RegionPtr region(new Region{bip::mapped_region(Mappable(file), bip::read_write, 0, bytes)});
    void* const begin = region->region.get_address();
    if (::madvise(begin, bytes, MADV_DONTFORK) != 0)
      return tl::unexpected(Error::os(errno, "madvise(MADV_DONTFORK)", subject));
    return Mapping(std::move(region), {static_cast<std::byte*>(begin), bytes});
  } catch (const bip::interprocess_exception& cause) {
    const auto advice = fmt::format(
        "{} bytes of address space; where that is limited (ulimit -v), use smaller size_classes",
        bytes);
    return tl::unexpected(Error::os(cause.get_native_error(), "mmap", advice));
  }
}

Result<void> commit_pages(const MemoryFile& file, std::uint64_t offset,
                          std::span<std::byte> range) {
  if (range.empty()) return {};
  static const auto page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(range.data());
  const auto lead = first % page_bytes;
  MEWS_ASSERT(offset % page_bytes == lead, "commit_pages: offset and range do not match");
  const auto length = (lead + range.size() + page_bytes - 1) / page_bytes * page_bytes;

  int failure =
      errno_of([&] { return ::madvise(range.data() - lead, length, MADV_POPULATE_WRITE); });
  if (failure == EINVAL) {  // before Linux 5.14
    failure = errno_of([&] {
      return ::fallocate(file.fd(), 0, static_cast<off_t>(offset - lead),
                         static_cast<off_t>(length));
    });
  }
  if (failure == 0) return {};
  const auto what = fmt::format("{} bytes at offset {} of the arena", range.size(), offset);
  // EFAULT is how the kernel says that a write here would have been SIGBUS: the file system of the
  // memory is full, or the file ends before this range.
  if (failure == EFAULT || failure == ENOMEM || failure == ENOSPC)
    return fail(ErrorCode::out_of_memory, failure,
                what +
                    " got no memory; enlarge /dev/shm for a named arena, raise the limit of the "
                    "memory cgroup, or use smaller size_classes");
  return tl::unexpected(Error::os(failure, "commit", what));
}

void discard_pages(const MemoryFile& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
  ::fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(bytes));
}

}  // namespace mews::os
