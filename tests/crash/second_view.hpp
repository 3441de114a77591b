// SPDX-License-Identifier: MIT
#pragma once

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mews/mem/arena.hpp"

/// A second mapping of an arena that this process has mapped already, to look at the words
/// themselves: by the descriptor that the library keeps, whatever is behind it.
namespace mews_test {

/// Descriptors of this process that lead to an arena of that name, dead ones' included.
[[nodiscard]] inline std::vector<int> descriptors_of(const std::string& arena) {
  std::vector<int> fds;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
  while (const auto* entry = directory ? ::readdir(directory.get()) : nullptr) {
    std::array<char, 256> target{};
    const auto path = std::string("/proc/self/fd/") + entry->d_name;
    if (::readlink(path.c_str(), target.data(), target.size() - 1) < 0) continue;
    if (std::string(target.data()).find("mews-" + arena) == std::string::npos) continue;
    fds.push_back(std::atoi(entry->d_name));
  }
  return fds;
}

/// By a descriptor that is not one of `before`; nothing when there is none.
[[nodiscard]] inline std::optional<mews::mem::Arena> second_view(
    const std::string& arena, const std::vector<int>& before = {}) {
  for (const int fd : descriptors_of(arena)) {
    if (std::find(before.begin(), before.end(), fd) != before.end()) continue;
    mews::os::UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    auto view = mews::mem::Arena::attach(mews::os::MemoryFile::adopt(std::move(own)),
                                         std::chrono::seconds(10));
    if (view) return std::move(*view);
  }
  return std::nullopt;
}

/// The seat of the plugin of that name.
[[nodiscard]] inline std::optional<mews::PeerId> seat_of(const mews::mem::Arena& arena,
                                                         const std::string& name) {
  for (std::uint32_t i = 1; i < arena.geometry().peer_capacity; ++i) {
    if (arena.peer(mews::PeerId{i}).name == name) return mews::PeerId{i};
  }
  return std::nullopt;
}

}  // namespace mews_test
