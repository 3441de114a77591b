// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "mews/link.hpp"

/// What calls_host and calls_plugin ask each other.
enum CallType : std::uint32_t {
  kCountWords = 1,   ///< a text; the reply is the number of its words
  kSleep = 2,        ///< is answered when it is cancelled
  kWordsToSkip = 3,  ///< of the host: a word that is not to count
  kNumberLines = 4   ///< a stream: each line that is sent comes back with its number
};

inline const std::vector<mews::TypeName> kTypeNames{{kCountWords, "count words"},
                                                    {kSleep, "sleep"},
                                                    {kWordsToSkip, "words to skip"},
                                                    {kNumberLines, "number lines"}};
