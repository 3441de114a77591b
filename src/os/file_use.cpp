// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "mews/os/process.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

// "begin-end rwxp offset major:minor inode path" is a line of /proc/PID/maps.
bool names_file(std::string_view line, std::string_view device, std::string_view inode) {
  for (int field = 0; field < 3; ++field) {
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) return false;
    line.remove_prefix(blank + 1);
  }
  if (!line.starts_with(device) || line.substr(device.size(), 1) != " ") return false;
  line.remove_prefix(device.size() + 1);
  return line.starts_with(inode) && (line.size() == inode.size() || line[inode.size()] == ' ');
}

}  // namespace

FileUse use_of_file(pid_t pid, int fd) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return FileUse::unknown;
  const auto device = fmt::format("{:02x}:{:02x}", major(file.st_dev), minor(file.st_dev));
  const auto inode = fmt::format("{}", file.st_ino);
  const auto maps = own_fd(::open(fmt::format("/proc/{}/maps", pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!maps) return errno == ESRCH || errno == ENOENT ? FileUse::no_memory : FileUse::unknown;
  std::string rest;
  std::array<char, 4096> buffer{};
  bool has_memory = false;
  for (;;) {
    const auto count = ::read(maps.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == ESRCH ? FileUse::no_memory : FileUse::unknown;
    if (count == 0) return has_memory ? FileUse::not_mapped : FileUse::no_memory;
    has_memory = true;
    rest.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', begin)) {
      if (names_file(std::string_view(rest).substr(begin, end - begin), device, inode)) {
        return FileUse::mapped;
      }
      begin = end + 1;
    }
    rest.erase(0, begin);
  }
}

}  // namespace mews::inline MEWS_LAYOUT::os
