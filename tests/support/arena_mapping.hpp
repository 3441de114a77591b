// SPDX-License-Identifier: MIT
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mews/mem/arena.hpp"

/// The address of a mapped arena, and another view of it, found without the library: by the
/// kernel's files on this process.
namespace mews_test {

/// Each open descriptor of this process: its number and the kernel's name for it.
[[nodiscard]] inline std::vector<std::pair<int, std::string>> open_descriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) throw std::runtime_error("no /proc/self/fd");
  std::vector<std::pair<int, std::string>> all;
  while (const auto* entry = ::readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    char target[256] = {};
    const auto path = std::string("/proc/self/fd/") + entry->d_name;
    if (entry->d_name[0] == '.' || fd == ::dirfd(folder)) continue;
    if (::readlink(path.c_str(), target, sizeof target - 1) > 0) all.emplace_back(fd, target);
  }
  ::closedir(folder);
  return all;
}

/// Attaches once more to the anonymous arena whose name begins so. Throws.
[[nodiscard]] inline mews::mem::Arena attach_once_more(const std::string& name) {
  for (const auto& [fd, target] : open_descriptors()) {
    if (!target.starts_with("/memfd:mews-" + name)) continue;
    mews::os::UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    auto arena = mews::mem::Arena::attach(mews::os::MemoryFile::adopt(std::move(copy)),
                                          std::chrono::seconds(10));
    if (!arena) throw std::runtime_error(arena.error().message());
    return std::move(*arena);
  }
  throw std::runtime_error("this process has no arena " + name);
}

/// One line of /proc/self/maps.
struct MappedPart {
  std::uintptr_t begin;
  std::uintptr_t end;
  std::uint64_t offset;  ///< in the file
  std::string file;
};
[[nodiscard]] inline std::vector<MappedPart> mapped_parts() {
  std::vector<MappedPart> all;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    unsigned long offset = 0;
    int at = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %*s %lx %*s %*s %n", &begin, &end, &offset, &at) == 3) {
      all.push_back({begin, end, offset, line.substr(static_cast<std::size_t>(at))});
    }
  }
  return all;
}

/// Returns the start of the mapping around `inside`, however many parts it has by now. Throws.
[[nodiscard]] inline std::uintptr_t mapping_of(const void* inside) {
  const auto at = reinterpret_cast<std::uintptr_t>(inside);
  for (const auto& part : mapped_parts()) {
    if (part.begin <= at && at < part.end) return part.begin - part.offset;
  }
  throw std::runtime_error("not mapped");
}

/// Returns the address of the anonymous arena of that name, of several mappings the lowest. Throws.
[[nodiscard]] inline std::uintptr_t mapping_of_arena(const std::string& name) {
  for (const auto& part : mapped_parts()) {
    if (part.file.starts_with("/memfd:mews-" + name + " ")) return part.begin - part.offset;
  }
  throw std::runtime_error("no mapping of arena " + name);
}

}  // namespace mews_test
