// SPDX-License-Identifier: MIT
#include "names.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "mews/layout/peer_entry.hpp"

namespace mews::detail {

std::optional<Error> check_name(const std::string& name, std::string_view option) {
  const auto is_usable = [](char c) { return c > ' ' && c <= '~' && c != '/'; };
  if (!name.empty() && name.size() < layout::kPeerNameBytes &&
      std::all_of(name.begin(), name.end(), is_usable)) {
    return std::nullopt;
  }
  return Error(ErrorCode::invalid_argument,
               fmt::format("{} \"{}\" is not 1 to {} printable characters without space or '/'",
                           option, name, layout::kPeerNameBytes - 1));
}

std::string memory_name(const std::string& name) {
  return "mews-" + name;
}

std::string socket_of_name(const std::string& name) {
  return fmt::format("@mews/{}/{}", ::geteuid(), name);
}

}  // namespace mews::detail
