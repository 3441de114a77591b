// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

/// What a live adversary scribbles over, and what holds for others meanwhile: the table of
/// docs/crashes.md.
namespace hostile_test {

enum class Harm : std::uint8_t {
  none,        ///< every call of an honest plugin's succeeds, and no byte is wrong
  slow,        ///< calls may time out; nobody is cut off, no byte is wrong
  cut_off,     ///< a neighbour's channel may end; no byte is wrong
  wrong_bytes  ///< a neighbour's bytes may be wrong
};

/// What is left once the adversary is killed and the neighbours that were cut off are ended.
enum class After : std::uint8_t {
  whole,  ///< all slabs can be lent
  lossy,  ///< slabs whose words were scribbled on may be lost
};

struct Region {
  const char* name;
  Harm worst;
  After after;
};

/// Columns: what the worst is that honest neighbours see meanwhile, and what is left afterwards.
inline constexpr std::array kRegions{
    Region{"own-lanes", Harm::none, After::whole},
    Region{"descriptors", Harm::none, After::whole},
    Region{"futexes", Harm::slow, After::whole},
    Region{"hints", Harm::slow, After::whole},
    Region{"entries", Harm::slow, After::whole},
    Region{"all-lanes", Harm::wrong_bytes, After::whole},
    Region{"truth-words", Harm::wrong_bytes, After::lossy},
    Region{"control", Harm::wrong_bytes, After::lossy},
    Region{"old-words", Harm::wrong_bytes, After::lossy},
    Region{"payloads", Harm::wrong_bytes, After::whole},
};

}  // namespace hostile_test
