// SPDX-License-Identifier: MIT
#include "mews/os/memory_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <cerrno>
#include <string_view>

#if !defined(MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace mews::os {
namespace {

namespace bip = boost::interprocess;

constexpr std::size_t kMaxNameBytes = 200;
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

Error named_error(const bip::interprocess_exception& cause, const std::string& name) {
  const int os_errno = cause.get_native_error();
  const auto subject = fmt::format("/dev/shm/{}", name);
  if (os_errno == EEXIST) return Error(ErrorCode::already_exists, os_errno, subject);
  if (os_errno == ENOENT) return Error(ErrorCode::no_such_arena, os_errno, subject);
  return Error::os(os_errno, "shm_open", subject);
}

Result<UniqueFd> duplicate(const bip::shared_memory_object& object) {
  UniqueFd fd(::fcntl(object.get_mapping_handle().handle, F_DUPFD_CLOEXEC, 0));
  if (!fd) return tl::unexpected(Error::os(errno, "dup", object.get_name()));
  return fd;
}

Result<void> set_size(int fd, std::uint64_t bytes) {
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0)
    return tl::unexpected(Error::os(errno, "ftruncate", fmt::format("{} bytes", bytes)));
  return {};
}

Result<struct stat> status_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    return tl::unexpected(Error::os(errno, "fstat", fmt::format("descriptor {}", fd)));
  return status;
}

}  // namespace

Result<MemoryFile> MemoryFile::create_anonymous(const std::string& label, std::uint64_t bytes) {
  // The kernel's limit; the label only shows in /proc, so a long one is no reason to fail.
  const auto shown = label.substr(0, 240);
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(::memfd_create(shown.c_str(), flags | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL) fd.reset(::memfd_create(shown.c_str(), flags));  // before Linux 6.3
  if (!fd) return tl::unexpected(Error::os(errno, "memfd_create", shown));
  if (auto sized = set_size(fd.get(), bytes); !sized) return tl::unexpected(sized.error());
  if (::fcntl(fd.get(), F_ADD_SEALS, kSizeSeals | F_SEAL_SEAL) != 0)
    return tl::unexpected(Error::os(errno, "F_ADD_SEALS", shown));
  return MemoryFile(std::move(fd));
}

Result<MemoryFile> MemoryFile::create_named(const std::string& name, std::uint64_t bytes) {
  if (!is_usable_name(name)) return tl::unexpected(bad_name(name));
  try {
    const bip::shared_memory_object object(bip::create_only, name.c_str(), bip::read_write,
                                           bip::permissions(S_IRUSR | S_IWUSR));
    auto fd = duplicate(object);
    auto sized = fd ? set_size(fd->get(), bytes) : Result<void>();
    if (fd && sized) return MemoryFile(std::move(*fd));
    unlink_named(name);
    return tl::unexpected(fd ? sized.error() : fd.error());
  } catch (const bip::interprocess_exception& cause) {
    return tl::unexpected(named_error(cause, name));
  }
}

Result<MemoryFile> MemoryFile::open_named(const std::string& name) {
  if (!is_usable_name(name)) return tl::unexpected(bad_name(name));
  try {
    const bip::shared_memory_object object(bip::open_only, name.c_str(), bip::read_write);
    auto fd = duplicate(object);
    if (!fd) return tl::unexpected(fd.error());
    const auto status = status_of(fd->get());
    if (!status) return tl::unexpected(status.error());
    // /dev/shm is open to all: another user may have put a trap under this name.
    if (status->st_uid != ::geteuid())
      return fail(ErrorCode::permission_denied,
                  fmt::format("/dev/shm/{} belongs to user {}", name, status->st_uid));
    return MemoryFile(std::move(*fd));
  } catch (const bip::interprocess_exception& cause) {
    return tl::unexpected(named_error(cause, name));
  }
}

void MemoryFile::unlink_named(const std::string& name) noexcept {
  if (is_usable_name(name)) bip::shared_memory_object::remove(name.c_str());
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

}  // namespace mews::os
