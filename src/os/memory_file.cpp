// SPDX-License-Identifier: MIT
#include "mews/os/memory_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string_view>

#if !defined(MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace mews::os {
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

Error named_error(int os_errno, const std::string& name, bool is_to_create) {
  const auto subject = fmt::format("/dev/shm/{}", name);
  if (os_errno == EEXIST) return Error(ErrorCode::already_exists, os_errno, subject);
  if (os_errno == ENOENT && is_to_create) return no_shm_error();
  if (os_errno == ENOENT) return Error(ErrorCode::no_such_arena, os_errno, subject);
  return Error::os(os_errno, "shm_open", subject);
}

/// Opens the shared memory object of that name; sets close-on-exec by itself.
Result<UniqueFd> open_shared(const std::string& name, int flags) {
  const auto path = "/" + name;
  const StandardFdGuard guard;
  auto fd = own_fd(::shm_open(path.c_str(), flags | O_RDWR, S_IRUSR | S_IWUSR));
  if (!fd) return tl::unexpected(named_error(errno, name, (flags & O_CREAT) != 0));
  return fd;
}

/// ftruncate without the signal that a file above the limit of sizes raises, which would end the
/// process. It is this thread's, so that what another thread does is not touched. An errno, or 0.
int truncate_quietly(int fd, std::uint64_t bytes) noexcept {
  sigset_t limit;
  sigset_t before;
  sigset_t pending;
  ::sigemptyset(&limit);
  ::sigaddset(&limit, SIGXFSZ);
  ::sigpending(&pending);
  ::pthread_sigmask(SIG_BLOCK, &limit, &before);
  const int failure = ::ftruncate(fd, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  if (failure == EFBIG && ::sigismember(&pending, SIGXFSZ) == 0) {
    const timespec at_once{};
    ::sigtimedwait(&limit, nullptr, &at_once);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return failure;
}

Result<void> set_size(int fd, std::uint64_t bytes) {
  const int failure = truncate_quietly(fd, bytes);
  if (failure == 0) return {};
  if (failure == EFBIG) {
    return fail(ErrorCode::os_error, failure,
                fmt::format("ftruncate to {} bytes, which is more than a file of this process may "
                            "have (ulimit -f, RLIMIT_FSIZE); raise that, or use smaller "
                            "size_classes",
                            bytes));
  }
  return tl::unexpected(Error::os(failure, "ftruncate", fmt::format("{} bytes", bytes)));
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
  if (auto sized = set_size(fd.get(), bytes); !sized) return tl::unexpected(sized.error());
  if (::fcntl(fd.get(), F_ADD_SEALS, kSizeSeals | F_SEAL_SEAL) != 0)
    return tl::unexpected(Error::os(errno, "F_ADD_SEALS", shown));
  return MemoryFile(std::move(fd));
}

Result<MemoryFile> MemoryFile::create_named(const std::string& name, std::uint64_t bytes) {
  if (!is_usable_name(name)) return tl::unexpected(bad_name(name));
  auto fd = open_shared(name, O_CREAT | O_EXCL);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  // The umask does not apply: the mode is what the memory is for.
  auto sized = ::fchmod(fd->get(), S_IRUSR | S_IWUSR) == 0
                   ? set_size(fd->get(), bytes)
                   : tl::unexpected(Error::os(errno, "fchmod", "/dev/shm/" + name));
  if (sized) return MemoryFile(std::move(*fd));
  unlink_named(name);
  return tl::unexpected(std::move(sized.error()));
}

Result<MemoryFile> MemoryFile::open_named(const std::string& name) {
  if (!is_usable_name(name)) return tl::unexpected(bad_name(name));
  auto fd = open_shared(name, 0);
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

// Both move the description's position, which all processes share and nobody uses.
std::uint64_t MemoryFile::next_data(std::uint64_t offset) const noexcept {
  const auto found = ::lseek(fd(), static_cast<off_t>(offset), SEEK_DATA);
  if (found >= 0) return static_cast<std::uint64_t>(found);
  return errno == ENXIO ? kNowhere : offset;
}

std::uint64_t MemoryFile::next_hole(std::uint64_t offset) const noexcept {
  const auto found = ::lseek(fd(), static_cast<off_t>(offset), SEEK_HOLE);
  return found >= 0 ? static_cast<std::uint64_t>(found) : kNowhere;
}

}  // namespace mews::os
