// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "../support/catch.hpp"
#include "mews/layout/call_id.hpp"
#include "stage.hpp"

/// A plugin that forges a link's records: it sends ordinary messages, and changes their kind before
/// the host looks.
namespace hostile_test {

using mews::layout::CallId;
using mews::layout::RecordKind;

inline constexpr std::uint32_t kCredits = 4;

[[nodiscard]] inline mews::CreateOptions wide_stage() {
  auto options = stage_arena();
  options.ring_cells = 1024;
  return options;
}

class Forger {
 public:
  Forger() : stage_(wide_stage()) {
    link_.emplace(must(mews::Link::over(std::move(stage_.from_evil()),
                                        {.credits = kCredits, .stream_window = 4096})));
  }

  [[nodiscard]] Stage& stage() noexcept { return stage_; }
  [[nodiscard]] mews::Link& link() noexcept { return *link_; }

  /// Sends a record of any kind, with `bytes` of payload. Returns false when the lane is full.
  bool forge(std::uint32_t kind, std::uint64_t correlation, std::size_t bytes = 10) {
    auto loan = stage_.to_host().try_loan(bytes);
    if (!loan) return false;
    if (!stage_.to_host().try_send(std::move(*loan), {.correlation = correlation})) return false;
    // One cell, which holds up to 32 bytes, or names a slab.
    auto& mark = last_mark();
    const auto sent = mark.load(std::memory_order_acquire);
    mark.store((sent & ~std::uint64_t{0xf0}) | std::uint64_t{kind} << 4, std::memory_order_release);
    return true;
  }
  bool forge(RecordKind kind, const CallId& id, std::size_t bytes = 10) {
    return forge(static_cast<std::uint32_t>(kind), id.pack(), bytes);
  }

  /// The link is cut off, says why, and takes no credit with it; all else goes on, and nothing is
  /// lost in the end.
  void check_cut_off(const std::string& why) {
    const auto called = link().call("x", {}, 1s);
    REQUIRE(outcome(called) == "peer_corrupt");
    CHECK_THAT(called.error().message(), Catch::Matchers::ContainsSubstring("evil"));
    CHECK_THAT(called.error().message(), Catch::Matchers::ContainsSubstring(why));
    CHECK(outcome(link().accept(1s)) == "peer_corrupt");
    CHECK(outcome(link().dispatch()) == "peer_corrupt");
    CHECK(link().open_calls() == 0);
    CHECK(stage_.good_round_trips().empty());
    link_.reset();
    stage_.remove_evil();
    CHECK(eventually([&] { return stage_.host().stats().is_all_free(); }));
    CHECK(stage_.good_round_trips().empty());
  }

 private:
  /// The mark of the record sent last: the one with the highest position.
  [[nodiscard]] mews::layout::AtomicMark& last_mark() const {
    std::size_t last = 0;
    for (std::size_t i = 1; i < 1024; ++i) {
      const auto sequence = [this](std::size_t at) {
        return stage_.cell(at).mark.load(std::memory_order_relaxed) >> 16;
      };
      if (sequence(i) > sequence(last)) last = i;
    }
    return stage_.cell(last).mark;
  }

  Stage stage_;
  std::optional<mews::Link> link_;
};

}  // namespace hostile_test
