// SPDX-License-Identifier: MIT
#include "mews/options.hpp"

namespace mews::inline MEWS_LAYOUT {

std::vector<SizeClass> default_size_classes() {
  constexpr std::uint64_t kKi = 1024;
  constexpr std::uint64_t kMi = kKi * kKi;
  return {{1 * kKi, 131072}, {4 * kKi, 32768}, {16 * kKi, 16384}, {64 * kKi, 8192},
          {256 * kKi, 2048}, {1 * kMi, 1024},  {4 * kMi, 256},    {16 * kMi, 128}};
}

}  // namespace mews::inline MEWS_LAYOUT
