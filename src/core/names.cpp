// SPDX-License-Identifier: MIT
#include "names.hpp"

#include <fmt/format.h>

#include "mews/layout/peer_entry.hpp"
#include "texts.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

std::optional<Error> check_name(const std::string& name, std::string_view option) {
  const auto wrong = [&](std::string_view how) {
    auto shown = printable(name);  // has as many bytes as the name
    for (std::size_t i = 0; i < name.size(); ++i) {
      if (name[i] == ' ') shown[i] = ' ';
    }
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{} \"{}\" {}: it must be 1 to {} bytes of UTF-8 without spaces, '/' "
                             "and control characters",
                             option, shown, how, layout::kPeerNameBytes - 1));
  };
  if (name.empty()) return wrong("is empty");
  if (name.size() >= layout::kPeerNameBytes) return wrong(fmt::format("has {} bytes", name.size()));
  for (std::size_t at = 0; at < name.size();) {
    const auto length = printable_length(std::string_view(name).substr(at));
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(name[at]);
      if (byte == ' ') return wrong(fmt::format("has a space at byte {}", at));
      return wrong(fmt::format("has {} {:#04x} at byte {}",
                               byte < 0x80 ? "the control character" : "the unprintable byte", byte,
                               at));
    }
    if (name[at] == '/') return wrong(fmt::format("has a '/' at byte {}", at));
    at += length;
  }
  return std::nullopt;
}

std::string memory_name(const std::string& name) {
  return "mews-" + name;
}

std::string socket_of_name(const std::string& name) {
  return "/dev/shm/mews." + name + ".sock";
}

}  // namespace mews::inline MEWS_LAYOUT::detail
