// SPDX-License-Identifier: MIT
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

/// This process's mappings of an arena, by /proc.
namespace mews_test {

struct MappedPart {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t offset = 0;  ///< in the arena
  std::string permissions;   ///< as "rw-s"

  [[nodiscard]] bool holds(std::uint64_t at) const noexcept {
    return at >= offset && at - offset < end - begin;
  }
};

/// The parts of each mapping of a file whose path holds `name`, by address.
[[nodiscard]] inline std::vector<MappedPart> own_maps(const std::string& name) {
  std::vector<MappedPart> parts;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(name) == std::string::npos) continue;
    MappedPart part;
    char permissions[8] = {};
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64, &part.begin, &part.end,
                    permissions, &part.offset) != 4) {
      throw std::runtime_error("cannot read " + line);
    }
    part.permissions = permissions;
    parts.push_back(part);
  }
  return parts;
}

/// The first part that holds the byte at `offset` of the arena.
[[nodiscard]] inline const MappedPart& part_at(const std::vector<MappedPart>& parts,
                                               std::uint64_t offset) {
  for (const auto& part : parts) {
    if (part.holds(offset)) return part;
  }
  throw std::runtime_error("not mapped");
}

}  // namespace mews_test
