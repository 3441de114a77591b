// SPDX-License-Identifier: MIT
#include "mews/os/memory_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string_view>

#include "mews/os/file_size.hpp"

#if !defined(MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace mews::inline MEWS_LAYOUT::os {
namespace {

constexpr std::size_t kMaxNameBytes = 200;
constexpr auto kNowhere = std::numeric_limits<std::uint64_t>::max();
constexpr int kSizeSeals = F_SEAL_GROW | F_SEAL_SHRINK;

bool is_usable_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

Error bad_name(std::string_view name) {
  return Error(ErrorCode::invalid_argument,
               fmt::format("'{}' is no arena name: use 1 to {} characters without '/'",
                           name.substr(0, kMaxNameBytes), kMaxNameBytes));
}

Error named_error(int os_errno, const std::string& name) {
  const auto subject = fmt::format("/dev/shm/{}", name);
  if (os_errno == ENOENT) return Error(ErrorCode::no_such_arena, os_errno, subject);
  return Error::os(os_errno, "shm_open", subject);
}

/// Opens the shared memory object of that name; sets close-on-exec by itself.
Result<UniqueFd> open_shared(const std::string& name) {
  const auto path = "/" + name;
  const StandardFdGuard guard;
  auto fd = own_fd(::shm_open(path.c_str(), O_RDWR, 0));
  if (!fd) return tl::unexpected(named_error(errno, name));
  return fd;
}

Result<struct stat> status_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    return tl::unexpected(Error::os(errno, "fstat", fmt::format("descriptor {}", fd)));
  return status;
}

}  // namespace

Error no_shm_error() {
  return Error(ErrorCode::os_error, ENOENT,
               "/dev/shm is not there: mount a tmpfs there, or use an anonymous arena");
}

Result<MemoryFile> MemoryFile::create_anonymous(const std::string& label, std::uint64_t bytes) {
  // The kernel's limit; the label only shows in /proc, so a long one is no reason to fail.
  const auto shown = label.substr(0, 240);
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const StandardFdGuard guard;
  auto fd = own_fd(::memfd_create(shown.c_str(), flags | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL)
    fd = own_fd(::memfd_create(shown.c_str(), flags));  // before Linux 6.3
  if (!fd) return tl::unexpected(Error::os(errno, "memfd_create", shown));
  if (auto sized = set_file_size(fd.get(), bytes); !sized) return tl::unexpected(sized.error());
  if (::fcntl(fd.get(), F_ADD_SEALS, kSizeSeals | F_SEAL_SEAL) != 0)
    return tl::unexpected(Error::os(errno, "F_ADD_SEALS", shown));
  return MemoryFile(std::move(fd));
}

Result<MemoryFile> MemoryFile::open_named(const std::string& name) {
  if (!is_usable_name(name)) return tl::unexpected(bad_name(name));
  auto fd = open_shared(name);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  const auto status = status_of(fd->get());
  if (!status) return tl::unexpected(status.error());
  // /dev/shm is open to all: another user may have put a trap under this name.
  if (status->st_uid != ::geteuid())
    return fail(ErrorCode::permission_denied,
                fmt::format("/dev/shm/{} belongs to user {}", name, status->st_uid));
  return MemoryFile(std::move(*fd));
}

void MemoryFile::unlink_named(const std::string& name) noexcept {
  if (is_usable_name(name)) ::shm_unlink(("/" + name).c_str());
}

Result<std::uint64_t> MemoryFile::bytes() const {
  return status_of(fd()).map([](const auto& s) { return static_cast<std::uint64_t>(s.st_size); });
}

bool MemoryFile::is_same_as(const MemoryFile& other) const noexcept {
  const auto ours = status_of(fd());
  const auto theirs = status_of(other.fd());
  return ours && theirs && ours->st_dev == theirs->st_dev && ours->st_ino == theirs->st_ino;
}

bool MemoryFile::is_sealed() const noexcept {
  const int seals = ::fcntl(fd(), F_GET_SEALS);
  return seals >= 0 && (seals & kSizeSeals) == kSizeSeals;
}

Result<std::uint64_t> MemoryFile::resident_bytes() const {
  constexpr std::uint64_t kBlockBytes = 512;  // by definition of st_blocks, whatever st_blksize is
  return status_of(fd()).map(
      [](const auto& s) { return static_cast<std::uint64_t>(s.st_blocks) * kBlockBytes; });
}

// Both move the description's position, which all processes share and no one uses.
std::uint64_t MemoryFile::next_data(std::uint64_t offset) const noexcept {
  const auto found = ::lseek(fd(), static_cast<off_t>(offset), SEEK_DATA);
  if (found >= 0) return static_cast<std::uint64_t>(found);
  return errno == ENXIO ? kNowhere : offset;
}

std::uint64_t MemoryFile::next_hole(std::uint64_t offset) const noexcept {
  const auto found = ::lseek(fd(), static_cast<off_t>(offset), SEEK_HOLE);
  return found >= 0 ? static_cast<std::uint64_t>(found) : kNowhere;
}

}  // namespace mews::inline MEWS_LAYOUT::os
