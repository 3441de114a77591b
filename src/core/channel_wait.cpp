// SPDX-License-Identifier: MIT
#include "channel_slow.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

Result<void> ChannelCore::sleep_at(const Waiting& at, const Until& until,
                                   base::FunctionRef<bool()> is_ready,
                                   base::FunctionRef<std::string(Deadline::Clock::duration)> text) {
  auto began = at.spin.began();
  for (;;) {
    const auto ticket = at.waiter.arm(sync::Sleeper::futex, at.position);
    if (is_ready()) break;
    if (until.is_cancelled()) return fail(ErrorCode::cancelled);
    const auto now = Deadline::Clock::now();
    if (!began) began = now;
    if (until.deadline.has_passed(now)) {
      return fail(ErrorCode::timed_out, detail_text([&] { return text(now - until.began); }));
    }
    at.waiter.sleep(ticket, context_->next_look(until.deadline, now));
    if (is_ready()) break;
  }
  at.waiter.bell().disarm(sync::Sleeper::futex);
  if (began) at.spin.learn(*began);
  return {};
}

}  // namespace mews::inline MEWS_LAYOUT::detail
