// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "mews/os/memory_file.hpp"
#include "mews/os/socket.hpp"
#include "os_support.hpp"

/// A file system that is soon full.
namespace os_test {

struct SmallDisk {
  std::uint64_t disk_bytes;  ///< that the file system has room for
  std::uint64_t file_bytes;  ///< the size of the (sparse) file in it
};

/// In a child: mounts a tmpfs that only this child sees, and sends an open file in it to `socket`.
/// The step that was not permitted, or 0.
[[nodiscard]] inline int lend_small_disk(int socket, const std::string& directory,
                                         const SmallDisk& disk) {
  const int user_namespace = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
  if (::unshare(CLONE_NEWNS | user_namespace) != 0) return 1;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 2;
  const auto options = "size=" + std::to_string(disk.disk_bytes);
  if (::mount("tmpfs", directory.c_str(), "tmpfs", 0, options.c_str()) != 0) return 3;
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(disk.file_bytes)) != 0) return 4;
  const std::byte hello{1};
  return mews::os::send_packet(socket, {&hello, 1}, {&fd, 1}, kPatience) ? 0 : 5;
}

/// A file on such a file system; nothing where that is forbidden.
[[nodiscard]] inline std::optional<mews::os::MemoryFile> file_on_small_disk(const SmallDisk& disk) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return std::nullopt;
  const mews::os::UniqueFd here(pair[0]);
  mews::os::UniqueFd there(pair[1]);
  const TempDir directory;
  Fork child([&] { return lend_small_disk(there.get(), directory.path(), disk); });
  there.reset();
  auto packet = mews::os::receive_packet(here.get(), kPatience);
  if (child.outcome() != "exit code 0" || !packet || packet->fds.size() != 1) return std::nullopt;
  return mews::os::MemoryFile::adopt(std::move(packet->fds[0]));
}

}  // namespace os_test
