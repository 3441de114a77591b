// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "link_core.hpp"
#include "wake_on_stop.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

template <class IsDone>
Result<void> LinkCore::wait(sync::Lead::Wanted wanted, const Own& own, const Until& until,
                            IsDone&& is_done) {
  const WakeOnStop stop(until, [this] {
    lead_.tell_all();
    interrupt();
  });
  auto drawing = until;
  drawing.is_interrupted = &interrupted_;
  Result<void> drawn;
  std::uint32_t draws = 0;
  const auto draw_one = [&] {
    drawn = draw(&drawing, own);
    // What comes may come without end, and be nobody's.
    if (drawn && until.is_cancelled()) drawn = fail(ErrorCode::cancelled);
    if (drawn && ++draws % 64 == 0 && until.deadline.has_passed()) {
      drawn = fail(ErrorCode::timed_out);
    }
    if (!drawn && drawn.error().code() == ErrorCode::cancelled && !until.is_cancelled()) {
      // Acquire: what the interrupter changed, before `is_done` looks; partner: `interrupt`.
      (void)interrupted_.exchange(false, std::memory_order_acquire);
      drawn = {};
    }
    return drawn && !has_stops_due_.load(std::memory_order_relaxed);
  };
  for (;;) {
    lead_.wait(
        wanted, until.deadline, is_done, [&until] { return until.is_cancelled(); }, draw_one);
    signal_waiting_loop();
    run_stops_due();
    if (is_done()) return {};
    if (!drawn) return drawn;
    if (until.is_cancelled()) return fail(ErrorCode::cancelled);
    if (until.deadline.has_passed()) return fail(ErrorCode::timed_out);
  }
}

}  // namespace mews::inline MEWS_LAYOUT::detail
