// SPDX-License-Identifier: MIT
#include "model/inline_traffic.hpp"
#include "model/support.hpp"

namespace mews::model {

TEST_CASE("lane: a batch is delivered whole or not at all") {
  InlineTraffic<Real> traffic({.messages = 3, .cells = 2, .is_batched = true});
  require_holds("batch", traffic, {.crashes = 1});
}

TEST_CASE("lane: records that wrap with a filler are delivered once and in order") {
  InlineTraffic<Real> traffic({.messages = 3, .cells = 3, .cells_before = 14});
  require_holds("wrap with filler", traffic, {.crashes = 1});
}

}  // namespace mews::model
