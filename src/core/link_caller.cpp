// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "link_core.hpp"
#include "link_wait.hpp"
#include "mews/os/coarse_clock.hpp"
#include "texts.hpp"

// The caller's side: a slot, the request, its outcome, the slot given back.
namespace mews::inline MEWS_LAYOUT::detail {

using layout::CallId;
using layout::RecordKind;

namespace {

std::int64_t nanoseconds(Deadline::Clock::time_point at) noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

std::int64_t now_ns() noexcept {
  return nanoseconds(Deadline::Clock::now());
}

std::uint32_t packed(Deadline deadline, std::int64_t now) noexcept {
  return deadline.is_forever() ? 0 : layout::pack_deadline(nanoseconds(deadline.at()), now);
}

std::string age_text(std::int64_t since_ns, std::int64_t now) {
  return duration_text(std::chrono::nanoseconds(std::max<std::int64_t>(now - since_ns, 0)));
}

}  // namespace

std::optional<std::uint32_t> LinkCore::claim_slot() noexcept {
  // Relaxed: a guess for the exchange.
  auto seen = free_.load(std::memory_order_relaxed);
  while (seen != 0) {
    const auto slot = static_cast<std::uint32_t>(std::countr_zero(seen));
    // [K4] acquire: the last use of the slot; partner [K3]. seq_cst: see `Lead`. ABA: a free slot
    // is a free slot.
    if (free_.compare_exchange_strong(seen, seen & (seen - 1), std::memory_order_seq_cst,
                                      std::memory_order_relaxed)) {
      return slot;
    }
  }
  return std::nullopt;
}

void LinkCore::give_slot(std::uint32_t slot) {
  // [K3] release: this use of the slot; partner [K4]. seq_cst: before the look for waiters.
  free_.fetch_or(std::uint64_t{1} << slot, std::memory_order_seq_cst);
  tell(&free_);
}

Result<std::uint32_t> LinkCore::start(const Body& body, const CallOptions& options,
                                      const Until& until, MayWait may_wait) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  const bool waits = may_wait == MayWait::yes;
  if (body.loan() == nullptr && body.bytes().size() > layout::kMaxInlineBytes) {
    auto loan =
        loan_of(body.bytes(), mem::Purpose::ordinary, waits ? Timeout::of(until) : Timeout::none());
    if (!loan) return tl::unexpected(std::move(loan.error()));
    return start(Body(std::move(*loan)), options, until, may_wait);
  }
  auto slot = claim_slot();
  if (!slot) {
    if (!waits) {
      if (auto looked = look(); !looked) return tl::unexpected(std::move(looked.error()));
      slot = claim_slot();
      if (!slot && ended()) return tl::unexpected(end_error());
      if (!slot) return fail(ErrorCode::would_block);
    }
  }
  if (!slot) {
    const auto waited = wait({.key = &free_, .is_open = true}, {}, until, [&] {
      if (!slot) slot = claim_slot();
      return slot || ended();
    });
    if (!slot) {
      if (waited || ended()) return tl::unexpected(end_error());
      return fail(waited.error().code(), detail_text([&] { return open_calls_text(); }));
    }
  }
  auto& call = outgoing_[*slot];
  // Relaxed: the slot is this thread's.
  const auto last = Word::unpack(call.word.load(std::memory_order_relaxed)).generation;
  const auto began = nanoseconds(until.began);
  const CallId id{
      .slot = *slot, .generation = CallId::after(last), .detail = packed(until.deadline, began)};
  // Relaxed, all: nothing depends on when others see them.
  call.type.store(options.type, std::memory_order_relaxed);
  call.began_ns.store(began, std::memory_order_relaxed);
  call.deadline_ns.store(nanoseconds(until.deadline.at()), std::memory_order_relaxed);
  const Word open{id.generation, State::open};
  // seq_cst: before the look at the end [K8]; partner [K7].
  call.word.store(open.pack(), std::memory_order_seq_cst);
  if (auto sent = send(RecordKind::request, body, id, options.type); !sent) {
    // Nothing was sent, so the generation stays. Or the end has settled it: that outcome is
    // dropped.
    auto seen = open.pack();
    // Acquire: that outcome. ABA: only the owner opens a slot.
    if (call.word.compare_exchange_strong(seen, Word{last, State::free}.pack(),
                                          std::memory_order_acquire, std::memory_order_acquire)) {
      give_slot(*slot);
    } else {
      (void)collect(*slot);
    }
    return tl::unexpected(std::move(sent.error()));
  }
  // Or no event loop would learn that this call has ended.
  if (ended()) end_call(*slot);
  return *slot;
}

Until LinkCore::until(const Timeout& timeout) const noexcept {
  return channel_->session().until(timeout, os::coarse_now());
}

Result<Message> LinkCore::call(const Body& body, const CallOptions& options, Timeout timeout) {
  const auto until = this->until(timeout);
  const auto slot = start(body, options, until, MayWait::yes);
  if (!slot) return tl::unexpected(std::move(slot.error()));
  return get(*slot, until);
}

bool LinkCore::is_settled(std::uint32_t slot) const noexcept {
  // [K2] acquire: the outcome; partner [K1].
  return Word::unpack(outgoing_[slot].word.load(std::memory_order_acquire)).state == State::settled;
}

Deadline LinkCore::deadline_of(std::uint32_t slot) const noexcept {
  // Relaxed: the owner's own.
  const auto ns = outgoing_[slot].deadline_ns.load(std::memory_order_relaxed);
  return Deadline::Clock::time_point(std::chrono::nanoseconds(ns));
}

std::optional<std::chrono::nanoseconds> LinkCore::overdue_in(std::chrono::nanoseconds after) {
  if (!is_own()) return std::nullopt;
  (void)look();
  const auto now = now_ns();
  std::optional<std::chrono::nanoseconds> least;
  for (std::uint32_t slot = 0; slot < credits_; ++slot) {
    const auto& call = outgoing_[slot];
    // Acquire: the deadline is this call's.
    if (Word::unpack(call.word.load(std::memory_order_acquire)).state != State::gone) continue;
    const auto deadline = call.deadline_ns.load(std::memory_order_relaxed);
    if (deadline == nanoseconds(Deadline(forever).at())) continue;
    const std::chrono::nanoseconds left(std::max<std::int64_t>(deadline - now, -after.count()));
    least = std::min(least.value_or(left + after), left + after);
  }
  return least;
}

Result<Message> LinkCore::get(std::uint32_t slot, const Until& until) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  auto waited = wait({.key = &outgoing_[slot]}, {.call = &outgoing_[slot]}, until,
                     [&] { return is_settled(slot); });
  if (!waited) {
    auto error = call_error(slot, waited.error().code(), {});
    // Otherwise the answer has come just now.
    if (give_up(slot)) return tl::unexpected(std::move(error));
  }
  return collect(slot);
}

Result<void> LinkCore::wait_settled(std::uint32_t slot, Timeout timeout) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  auto waited = wait({.key = &outgoing_[slot]}, {.call = &outgoing_[slot]}, until(timeout),
                     [&] { return is_settled(slot); });
  if (!waited) return tl::unexpected(call_error(slot, waited.error().code(), {}));
  return {};
}

bool LinkCore::is_ready(std::uint32_t slot) {
  if (!is_settled(slot) && is_own()) (void)look();
  return is_settled(slot);
}

bool LinkCore::on_ready(std::uint32_t slot, std::function<void()> done) {
  if (!is_own()) return false;
  auto& call = outgoing_[slot];
  const std::lock_guard lock(mutex_);
  if (is_settled(slot)) return false;
  call.done = std::move(done);
  // seq_cst: before the second look; the lead settles, then asks. One of the two sees the other's.
  call.has_done.store(true, std::memory_order_seq_cst);
  if (Word::unpack(call.word.load(std::memory_order_seq_cst)).state != State::settled) return true;
  call.done = nullptr;
  return false;
}

Result<Message> LinkCore::collect(std::uint32_t slot) {
  auto& call = outgoing_[slot];
  Result<Message> outcome;
  if (call.error) {
    outcome = tl::unexpected(std::move(*call.error));
    call.error.reset();
  } else {
    outcome = std::move(call.reply);
  }
  forget_done(call, slot);
  // Relaxed: `give_slot` publishes it.
  const auto word = Word::unpack(call.word.load(std::memory_order_relaxed));
  call.word.store(Word{word.generation, State::free}.pack(), std::memory_order_relaxed);
  give_slot(slot);
  return outcome;
}

void LinkCore::forget_done(Outgoing& call, std::uint32_t slot) {
  // Relaxed: only the owner sets it.
  if (!call.has_done.load(std::memory_order_relaxed)) return;
  std::function<void()> dropped;
  const std::lock_guard lock(mutex_);
  dropped.swap(call.done);
  std::erase_if(ready_, [slot](const Ready& ready) { return ready.slot == slot; });
  call.has_done.store(false, std::memory_order_relaxed);
}

bool LinkCore::give_up(std::uint32_t slot) noexcept {
  auto& call = outgoing_[slot];
  // Relaxed: the generation is the owner's.
  const auto generation = Word::unpack(call.word.load(std::memory_order_relaxed)).generation;
  forget_done(call, slot);
  if (!move(call, {generation, State::open}, State::leaving)) return false;
  // Where it cannot be sent, the link is at its end.
  (void)send(RecordKind::cancel, Body(), {.slot = slot, .generation = generation}, 0);
  if (!move(call, {generation, State::leaving}, State::gone)) {
    // The answer has come meanwhile. Relaxed: `give_slot` publishes it.
    call.word.store(Word{generation, State::free}.pack(), std::memory_order_relaxed);
    give_slot(slot);
  } else if (ended()) {
    let_go(slot, generation);
  }
  return true;
}

void LinkCore::cancel(std::uint32_t slot) noexcept {
  // In a forked child the turn to send may never come.
  if (is_own() && !give_up(slot)) (void)collect(slot);
}

std::optional<std::chrono::nanoseconds> LinkCore::taken_for(std::uint32_t slot,
                                                            std::int64_t now) const noexcept {
  // Relaxed, both: for a text; and after a death nothing more is on its way.
  const auto generation =
      Word::unpack(outgoing_[slot].word.load(std::memory_order_relaxed)).generation;
  const auto taken = channel_->taken_there().words[slot].load(std::memory_order_relaxed);
  if (!layout::is_taken(taken, generation)) return std::nullopt;
  return std::chrono::nanoseconds(std::max<std::int64_t>(layout::taken_for(taken, now), 0));
}

std::string LinkCore::call_name(std::uint32_t type) const {
  const auto found = std::find_if(types_.begin(), types_.end(),
                                  [type](const TypeName& row) { return row.type == type; });
  return found != types_.end() ? found->name : fmt::format("type {}", type);
}

// "fonts: decompress: no answer for 5.0 s, taken 4.7 s ago"
Error LinkCore::call_error(std::uint32_t slot, ErrorCode code, const std::string& what) const {
  const auto now = now_ns();
  const auto taken = taken_for(slot, now);
  auto text = detail_text([&] {
    const auto& call = outgoing_[slot];
    const auto peer = channel_->session().peer_name(channel_->other());
    auto sentence =
        fmt::format("{}: {}", peer, call_name(call.type.load(std::memory_order_relaxed)));
    if (code == ErrorCode::timed_out || code == ErrorCode::cancelled) {
      sentence += fmt::format(": no answer for {}",
                              age_text(call.began_ns.load(std::memory_order_relaxed), now));
    }
    sentence += taken ? fmt::format(", taken {} ago", duration_text(*taken)) : ", not taken";
    if (!taken) sentence += channel_->session().absence_text(channel_->other());
    if (!what.empty()) sentence += ": " + what;
    return sentence;
  });
  Error error(code, std::move(text));
  error.set_started(taken.has_value());
  return error;
}

// "fonts: 16 of 16 calls open, the oldest decompress for 4.8 s, taken 4.7 s ago"
std::string LinkCore::open_calls_text() const {
  const auto now = now_ns();
  std::optional<std::uint32_t> oldest;
  std::int64_t began = 0;
  std::uint32_t answered = 0;
  for (std::uint32_t slot = 0; slot < credits_; ++slot) {
    const auto& call = outgoing_[slot];
    // Relaxed: for a text.
    const auto state = Word::unpack(call.word.load(std::memory_order_relaxed)).state;
    if (state == State::free) continue;
    if (state == State::settled) ++answered;
    const auto since = call.began_ns.load(std::memory_order_relaxed);
    if (oldest && since >= began) continue;
    oldest = slot;
    began = since;
  }
  auto text = fmt::format("{}: {} of {} calls open",
                          channel_->session().peer_name(channel_->other()), open_calls(), credits_);
  if (answered > 0) text += fmt::format(", {} of them answered and not collected", answered);
  if (!oldest) return text;
  const auto& call = outgoing_[*oldest];
  text += fmt::format(", the oldest {} for {}",
                      call_name(call.type.load(std::memory_order_relaxed)), age_text(began, now));
  const auto taken = taken_for(*oldest, now);
  return text + (taken ? fmt::format(", taken {} ago", duration_text(*taken)) : ", not taken");
}

}  // namespace mews::inline MEWS_LAYOUT::detail
