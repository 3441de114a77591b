// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "mews/mem/arena.hpp"
#include "model/order_log.hpp"
#include "support/arena_fixture.hpp"

/// The words of an arena that a session of this process has mapped, by their names.
namespace mews::model {

using mews_test::value_or_throw;

/// Where this process has the memfd of that name mapped, and a second view of it.
class Mapped {
 public:
  explicit Mapped(const std::string& name)
      : base_(begin_of("/memfd:" + name + " ")), view_(attach_to("/memfd:" + name + " ")) {}

  [[nodiscard]] std::map<std::string, WordKind> kinds() const {
    const auto& host = view_.peer(kHostPeer);
    const auto& plugin = view_.peer(PeerId{1});
    const auto cells = view_.cells(LaneId{0});
    const auto lane_bytes = reinterpret_cast<const char*>(&view_.lane(LaneId{1})) -
                            reinterpret_cast<const char*>(&view_.lane(LaneId{0}));
    const auto words_of = [this](ClassId id) {
      const auto& view = view_.view(id);
      return at(view.words, view.geometry.slab_count, sizeof *view.words);
    };
    return {{"ready", {base_ + offsetof(layout::ArenaHeader, ready)}},
            {"host's seat", at(&host.seat)},
            {"host's fences", at(&host.fences)},
            {"plugin's seat", at(&plugin.seat)},
            {"plugin's fences", at(&plugin.fences)},
            {"heads", at(&view_.lane(LaneId{0}).head, 2, static_cast<std::size_t>(lane_bytes))},
            {"marks", at(&cells[0].mark, cells.size(), sizeof(layout::Cell))},
            {"truth words", words_of(ClassId{0})},
            {"truth words of the largest", words_of(ClassId{1})},
            {"hints", at(view_.view(ClassId{0}).hints)}};
  }

 private:
  static std::uintptr_t begin_of(const std::string& what) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      unsigned long begin = 0;
      unsigned long offset = 0;
      if (line.find(what) == std::string::npos) continue;
      if (std::sscanf(line.c_str(), "%lx-%*x %*s %lx", &begin, &offset) == 2) return begin - offset;
    }
    throw std::runtime_error("no mapping of " + what);
  }
  static mem::Arena attach_to(const std::string& what) {
    for (int fd = 0; fd < 256; ++fd) {
      char target[256] = {};
      const auto path = "/proc/self/fd/" + std::to_string(fd);
      if (::readlink(path.c_str(), target, sizeof target - 1) <= 0) continue;
      if (!std::string(target).starts_with(what)) continue;
      os::UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
      return value_or_throw(
          mem::Arena::attach(os::MemoryFile::adopt(std::move(copy)), std::chrono::seconds(10)));
    }
    throw std::runtime_error("no descriptor of " + what);
  }
  template <class T>
  [[nodiscard]] WordKind at(const T* word, std::size_t count = 1, std::size_t stride = 1) const {
    const auto view_base =
        reinterpret_cast<std::uintptr_t>(&view_.peer(kHostPeer)) - view_.geometry().peers_offset;
    return {reinterpret_cast<std::uintptr_t>(word) - view_base + base_, count, stride};
  }

  std::uintptr_t base_;
  mem::Arena view_;
};

}  // namespace mews::model
