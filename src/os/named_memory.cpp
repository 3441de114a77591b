// SPDX-License-Identifier: MIT
#include "mews/os/named_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "mews/os/file_size.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

std::string path_of(const std::string& name) {
  return "/dev/shm/" + name;
}

/// The temporary name of the successor of a dead owner's memory. The owner of the name owns this
/// one too.
std::string successor_of(const std::string& name) {
  return name + " new";  // a blank is in no arena's name
}

Error name_error(int os_errno, const std::string& name) {
  if (os_errno == ENOENT) return no_shm_error();
  if (os_errno == EACCES || os_errno == EPERM)
    return Error(ErrorCode::permission_denied, os_errno, path_of(name));
  return Error::os(os_errno, "shm_open", path_of(name));
}

Result<UniqueFd> open_or_create(const std::string& name, int flags) {
  const StandardFdGuard guard;
  auto fd = own_fd(::shm_open(("/" + name).c_str(), flags | O_CREAT | O_RDWR, S_IRUSR | S_IWUSR));
  if (!fd) return tl::unexpected(name_error(errno, name));
  return fd;
}

struct flock whole_lock() noexcept {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool try_lock(int fd) noexcept {
  auto lock = whole_lock();
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool is_at(const std::string& name, const struct stat& file) noexcept {
  struct stat there {};
  return ::stat(path_of(name).c_str(), &there) == 0 && there.st_dev == file.st_dev &&
         there.st_ino == file.st_ino;
}

/// Returns memory of `bytes` under the name, locked: the empty file behind `lock`; or, if that is a
/// dead owner's memory, new memory in its place.
Result<PrivateFd> make_ready(UniqueFd lock, const std::string& name, std::uint64_t bytes,
                             bool is_leftover) {
  const auto place = is_leftover ? successor_of(name) : name;
  ::shm_unlink(("/" + successor_of(name)).c_str());  // of an owner that died before this line's end
  UniqueFd fresh;
  if (is_leftover) {
    auto made = open_or_create(place, O_EXCL);
    if (!made) return tl::unexpected(std::move(made.error()));
    fresh = std::move(*made);
  }
  const int fd = is_leftover ? fresh.get() : lock.get();
  const auto failed = [&](const char* call) {
    auto error = Error::os(errno, call, path_of(name));
    ::shm_unlink(("/" + place).c_str());
    return tl::unexpected(std::move(error));
  };
  // The umask must not apply: the mode belongs to the memory's purpose.
  if (::fchmod(fd, S_IRUSR | S_IWUSR) != 0) return failed("fchmod");
  if (is_leftover && !try_lock(fd)) return failed("fcntl(F_OFD_SETLK)");
  if (auto sized = set_file_size(fd, bytes); !sized) {
    ::shm_unlink(("/" + place).c_str());
    return tl::unexpected(std::move(sized.error()));
  }
  if (!is_leftover) return PrivateFd(std::move(lock));
  if (::rename(path_of(place).c_str(), path_of(name).c_str()) != 0) return failed("rename");
  return PrivateFd(std::move(fresh));
}

}  // namespace

Result<NamedMemory> NamedMemory::own(const std::string& name, std::uint64_t bytes) {
  for (;;) {
    auto lock = open_or_create(name, 0);
    if (!lock) return tl::unexpected(std::move(lock.error()));
    struct stat status {};
    if (::fstat(lock->get(), &status) != 0)
      return tl::unexpected(Error::os(errno, "fstat", path_of(name)));
    // /dev/shm is open to all: another user may have put a trap under this name.
    if (status.st_uid != ::geteuid())
      return fail(ErrorCode::permission_denied,
                  fmt::format("{} belongs to user {}", path_of(name), status.st_uid));
    if (!try_lock(lock->get())) {
      if (errno != EAGAIN && errno != EACCES)
        return tl::unexpected(Error::os(errno, "fcntl(F_OFD_SETLK)", path_of(name)));
      return fail(ErrorCode::already_exists, "a living host owns " + path_of(name));
    }
    // Its owner may have removed or replaced it since it was opened here.
    if (!is_at(name, status) || ::fstat(lock->get(), &status) != 0) continue;
    auto owned = make_ready(std::move(*lock), name, bytes, status.st_size != 0);
    if (!owned) return tl::unexpected(std::move(owned.error()));
    auto file = MemoryFile::open_named(name);
    if (!file) {
      ::shm_unlink(("/" + name).c_str());
      return tl::unexpected(std::move(file.error()));
    }
    return NamedMemory(name, std::move(*owned), std::move(*file));
  }
}

bool NamedMemory::is_owned(const MemoryFile& file) noexcept {
  auto lock = whole_lock();
  return ::fcntl(file.fd(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

NamedMemory::~NamedMemory() {
  if (lock_) ::shm_unlink(("/" + name_).c_str());
}

}  // namespace mews::inline MEWS_LAYOUT::os
