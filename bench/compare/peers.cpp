// SPDX-License-Identifier: MIT
#include "compare/peers.hpp"

namespace mews::bench::compare {

std::vector<Peer>& peers() {
  static std::vector<Peer> all;
  return all;
}

}  // namespace mews::bench::compare
