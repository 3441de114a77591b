// SPDX-License-Identifier: MIT
#include "link_root.hpp"

#include <fmt/format.h>

#include <csignal>
#include <new>
#include <utility>

#include "mews/os/process.hpp"
#include "wake_on_stop.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

Result<std::shared_ptr<LinkCore>> link_over(const std::shared_ptr<ChannelCore>& channel,
                                            const LinkOptions& options) try {
  if (!channel->session().is_own()) return fail(ErrorCode::wrong_process);
  if (channel->is_link()) return fail(ErrorCode::already_exists, "this channel has a link");
  if (options.credits == 0) {
    return fail(ErrorCode::invalid_argument, "credits is 0: no call could be started");
  }
  const auto ring_cells = channel->session().arena().geometry().ring_cells;
  const auto limits = layout::LinkLimits::of(ring_cells);
  if (limits.calls == 0) {
    return fail(ErrorCode::invalid_argument, detail_text([&] {
                  return fmt::format(
                      "ring_cells is {}: a link needs 128 or more, see CreateOptions", ring_cells);
                }));
  }
  auto made = std::make_shared<LinkCore>(channel, options, limits);
  channel->become_link();
  return made;
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

LinkRoot::LinkRoot(Source source, LinkOptions options, std::shared_ptr<LinkCore> first)
    : options_(std::move(options)),
      plugin_(std::move(source.plugin)),
      process_(std::move(source.process)),
      current_(std::move(first)) {}

LinkRoot::~LinkRoot() {
  if (const auto host = plugin_->host.lock()) timer_.clear(host->reactor());
}

std::shared_ptr<LinkCore> LinkRoot::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

Result<std::shared_ptr<LinkCore>> LinkRoot::after(const std::shared_ptr<LinkCore>& last,
                                                  const Until& until) {
  const WakeOnStop stop(until, [this] { renewing_.interrupt(); });
  switch (renewing_.enter(until.deadline, [&until] { return until.is_cancelled(); })) {
    case sync::Turned::entered:
      break;
    case sync::Turned::late:
      return fail(ErrorCode::timed_out, "another thread waits for the plugin's next process");
    case sync::Turned::cancelled:
      return fail(ErrorCode::cancelled);
  }
  struct Leaving {
    sync::Turn& turn;
    ~Leaving() { turn.leave(); }
  } const leaving{renewing_};
  std::shared_ptr<PluginProcess> process;
  {
    const std::lock_guard lock(mutex_);
    if (current_ != last) return current_;
    process = process_;
  }
  const auto host = plugin_->host.lock();
  if (!host) return fail(ErrorCode::closed, "the session of this plugin is gone");
  auto next = host->wait_next(plugin_, process, until);
  if (!next) return tl::unexpected(std::move(next.error()));
  auto core = link_over(next->channel, options_);
  if (!core) return core;
  const std::lock_guard lock(mutex_);
  process_ = std::move(next->process);
  current_ = *core;
  return core;
}

bool LinkRoot::follow(std::shared_ptr<LinkCore>& core, const CallOptions& options,
                      const Until& until, Error& why) {
  if (why.code() == ErrorCode::timed_out) on_late(core);
  const bool is_to_retry =
      options.retry == Retry::always || (options.retry == Retry::not_started && !why.was_started());
  if (why.code() != ErrorCode::peer_died || !is_to_retry) return false;
  return go_on(core, until, why);
}

// To the next process. Otherwise `why` says why there is none.
bool LinkRoot::go_on(std::shared_ptr<LinkCore>& core, const Until& until, Error& why) {
  auto next = after(core, until);
  if (next) {
    core = std::move(*next);
    return true;
  }
  const bool was_started = why.was_started();
  why = Error(why.code(), detail_text([&] {
                return fmt::format("{}; no next process: {}", why.detail(), next.error().message());
              }));
  why.set_started(was_started);
  return false;
}

Result<Message> LinkRoot::call(const Body& body, const CallOptions& options, const Until& until) {
  auto core = current();
  // A loan is sent once; what is sent again is a copy.
  Loan kept;
  if (options.retry != Retry::never && body.loan() != nullptr) {
    auto copy = core->loan_of(std::as_const(*body.loan()).bytes(), mem::Purpose::ordinary,
                              Timeout::of(until));
    if (!copy) return tl::unexpected(std::move(copy.error()));
    kept = std::move(*copy);
  }
  for (bool is_sent = false;;) {
    const bool uses_copy = is_sent && kept.is_valid();
    const auto slot = core->start(uses_copy ? Body(std::as_const(kept).bytes()) : body, options,
                                  until, LinkCore::MayWait::yes);
    if (!slot) {
      // Nothing was sent: it goes to the next process in any case.
      Error why = slot.error();
      if (why.code() == ErrorCode::peer_died && go_on(core, until, why)) continue;
      return tl::unexpected(std::move(why));
    }
    is_sent = true;
    auto reply = core->get(*slot, until);
    if (reply || !follow(core, options, until, reply.error())) return reply;
  }
}

// On the watcher's thread, or the one that processes events.
void LinkRoot::on_late(const std::shared_ptr<LinkCore>& core) {
  if (options_.kill_after <= std::chrono::nanoseconds::zero()) return;
  const auto host = plugin_->host.lock();
  if (!host) return;
  const std::lock_guard lock(mutex_);
  if (timer_.is_set()) return;
  // Without a timer it is not killed; the call has its error in any case.
  (void)timer_.set(host->reactor(), options_.kill_after,
                   [root = weak_from_this(), late = std::weak_ptr(core)] {
                     if (const auto here = root.lock()) here->end_overdue(late);
                   });
}

void LinkRoot::end_overdue(const std::weak_ptr<LinkCore>& late) {
  const auto core = late.lock();
  const auto host = plugin_->host.lock();
  std::shared_ptr<PluginProcess> process;
  {
    const std::lock_guard lock(mutex_);
    if (host) timer_.clear(host->reactor());
    if (current_ == core) process = process_;
  }
  if (!core || !process) return;
  const auto left = core->overdue_in(options_.kill_after);
  if (!left) return;
  if (*left > std::chrono::nanoseconds::zero()) return on_late(core);
  (void)os::send_signal(process->watched.get(), SIGKILL);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
