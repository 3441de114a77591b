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

}  // namespace

std::optional<std::uint32_t> LinkCore::claim_slot() noexcept {
  // seq_cst: a waiter's look, after it is counted or has named its key; see `Lead`.
  auto seen = free_.load(std::memory_order_seq_cst);
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

std::optional<std::uint32_t> LinkCore::claim_slot(bool is_stream) noexcept {
  if (is_stream && !take_stream_place()) return std::nullopt;
  const auto slot = claim_slot();
  if (is_stream && !slot) give_stream_place();
  return slot;
}

void LinkCore::give_slot(std::uint32_t slot) {
  auto& call = outgoing_[slot];
  // Relaxed, both: the slot is this thread's, whichever it is.
  if (call.is_stream.load(std::memory_order_relaxed)) {
    std::shared_ptr<StreamEnd> former;
    {
      const std::lock_guard lock(mutex_);
      former.swap(call.stream);
    }
    call.is_stream.store(false, std::memory_order_relaxed);
    give_stream_place();
  }
  // [K3] release: this use of the slot; partner [K4]. seq_cst: before the look for waiters.
  free_.fetch_or(std::uint64_t{1} << slot, std::memory_order_seq_cst);
  tell(&free_);
}

// Waits for a free slot, unless it may not.
Result<std::uint32_t> LinkCore::await_slot(const Until& until, MayWait may_wait, bool is_stream) {
  if (const auto slot = claim_slot(is_stream)) return *slot;
  if (may_wait == MayWait::no) {
    if (auto looked = look(); !looked) return tl::unexpected(std::move(looked.error()));
    if (const auto slot = claim_slot(is_stream)) return *slot;
    if (is_stream) tell(&free_);
    return ended() ? tl::unexpected(end_error()) : fail(ErrorCode::would_block);
  }
  std::optional<std::uint32_t> slot;
  const auto waited = wait({.key = &free_, .is_open = true}, {}, until, [&] {
    if (!slot) slot = claim_slot(is_stream);
    return slot || ended();
  });
  if (slot) return *slot;
  // Another may have looked just while this thread had a stream's place, but no slot.
  if (is_stream) tell(&free_);
  if (waited || ended()) return tl::unexpected(end_error());
  return fail(waited.error().code(), detail_text([&] { return open_calls_text(is_stream); }));
}

Result<std::uint32_t> LinkCore::start(const Body& body, const CallOptions& options,
                                      const Until& until, MayWait may_wait) {
  return start(body, options, until, may_wait, nullptr);
}

// The credit comes before the slabs: a thread that waits for one keeps none of the other.
Result<std::uint32_t> LinkCore::start(const Body& body, const CallOptions& options,
                                      const Until& until, MayWait may_wait,
                                      std::shared_ptr<StreamEnd> stream) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  // First: what was lent for a reply must be followed by its request.
  if (body.loan() != nullptr) {
    if (auto checked = channel_->check(*body.loan()); !checked) {
      return tl::unexpected(std::move(checked.error()));
    }
  }
  const auto slot = await_slot(until, may_wait, stream != nullptr);
  if (!slot) return slot;
  // Relaxed: the slot is this thread's.
  outgoing_[*slot].is_stream.store(stream != nullptr, std::memory_order_relaxed);
  Loan copy;
  Loan lent;
  const bool needs_slabs =
      options.reply_bytes > layout::kMaxInlineBytes ||
      (body.loan() == nullptr && body.bytes().size() > layout::kMaxInlineBytes);
  if (needs_slabs) {
    const auto timeout = may_wait == MayWait::yes ? Timeout::of(until) : Timeout::none();
    if (auto prepared = prepare_call(body, options, timeout, copy, lent); !prepared) {
      give_slot(*slot);
      return tl::unexpected(std::move(prepared.error()));
    }
  }
  auto begun = begin_call(*slot, copy.is_valid() ? Body(std::move(copy)) : body, options, until,
                          lent, std::move(stream));
  if (!begun) return tl::unexpected(std::move(begun.error()));
  return *slot;
}

// Room for the reply comes first: it is the other end's only chance, where memory is short.
Result<void> LinkCore::prepare_call(const Body& body, const CallOptions& options, Timeout timeout,
                                    Loan& copy, Loan& lent) {
  if (options.reply_bytes > layout::kMaxInlineBytes) {
    Result<Loan> loan;
    channel_->loan(loan, options.reply_bytes, timeout);
    if (!loan) return tl::unexpected(std::move(loan.error()));
    lent = std::move(*loan);
  }
  if (body.loan() == nullptr && body.bytes().size() > layout::kMaxInlineBytes) {
    auto loan = loan_of(body.bytes(), mem::Purpose::ordinary, timeout);
    if (!loan) return tl::unexpected(std::move(loan.error()));
    copy = std::move(*loan);
  }
  return {};
}

// Sends the request. On an error the slot is free again.
Result<void> LinkCore::begin_call(std::uint32_t slot, const Body& body, const CallOptions& options,
                                  const Until& until, Loan& lent,
                                  std::shared_ptr<StreamEnd> stream) {
  auto& call = outgoing_[slot];
  // Relaxed: the slot is this thread's.
  const auto last = Word::unpack(call.word.load(std::memory_order_relaxed)).generation;
  const auto began = nanoseconds(until.began);
  // A stream has no deadline.
  const auto deadline = stream ? Deadline(forever) : until.deadline;
  CallId id{.slot = slot, .generation = CallId::after(last), .detail = packed(deadline, began)};
  auto kind = RecordKind::request;
  if (stream) {
    kind = RecordKind::open;
    stream->id = id;
    id.detail = layout::pack_window(stream->window);
    const std::lock_guard lock(mutex_);
    call.stream = std::move(stream);
  }
  // Relaxed, all: nothing depends on when others see them.
  call.type.store(options.type, std::memory_order_relaxed);
  call.began_ns.store(began, std::memory_order_relaxed);
  call.deadline_ns.store(nanoseconds(deadline.at()), std::memory_order_relaxed);
  const Word open{id.generation, State::open};
  // seq_cst: before the look at the end [K8]; partner [K7].
  call.word.store(open.pack(), std::memory_order_seq_cst);
  Result<void> sent;
  if (lent.is_valid()) {
    sent = send(RecordKind::lend, Body(std::move(lent)),
                {.slot = slot, .generation = id.generation}, options.type);
  }
  if (sent) sent = send(kind, body, id, options.type);
  if (!sent) {
    auto seen = open.pack();
    // Nothing was sent, so the generation stays. Or the end has settled it: that outcome is
    // dropped. Acquire: that outcome. ABA: only the owner opens a slot.
    if (call.word.compare_exchange_strong(seen, Word{last, State::free}.pack(),
                                          std::memory_order_acquire, std::memory_order_acquire)) {
      give_slot(slot);
    } else {
      (void)collect(slot);
    }
    return sent;
  }
  // Or no event loop would learn that this call has ended.
  if (ended()) end_call(slot);
  return {};
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
  // [K2] acquire: the outcome; partner [K1]. seq_cst: a waiter's look, see `Lead`.
  return Word::unpack(outgoing_[slot].word.load(std::memory_order_seq_cst)).state == State::settled;
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
    if (give_up(slot, 0)) return tl::unexpected(std::move(error));
  }
  return collect(slot);
}

Result<void> LinkCore::wait_settled(std::uint32_t slot, Timeout timeout) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  auto until = this->until(timeout);
  const auto own = deadline_of(slot);
  // `get` returns at once then.
  const bool is_last = own.at() <= until.deadline.at();
  if (is_last) until.deadline = own;
  auto waited = wait({.key = &outgoing_[slot]}, {.call = &outgoing_[slot]}, until,
                     [&] { return is_settled(slot); });
  if (waited || (is_last && waited.error().code() == ErrorCode::timed_out)) return {};
  return tl::unexpected(call_error(slot, waited.error().code(), {}));
}

bool LinkCore::is_ready(std::uint32_t slot) {
  if (!is_settled(slot) && is_own()) (void)look();
  return is_settled(slot) || deadline_of(slot).has_passed();
}

bool LinkCore::on_ready(std::uint32_t slot, std::function<void()> done) {
  if (!is_own()) return false;
  auto& call = outgoing_[slot];
  {
    // What is dropped may be a request or a pending reply: not with the mutex held.
    const std::lock_guard lock(mutex_);
    if (is_settled(slot)) return false;
    done.swap(call.done);
    // seq_cst: before the second look; the lead settles, then asks. One of the two sees the
    // other's.
    call.has_done.store(true, std::memory_order_seq_cst);
    if (!is_settled(slot)) return true;
    done.swap(call.done);
  }
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
  forget_done(call);
  // Relaxed: `give_slot` publishes it.
  const auto word = Word::unpack(call.word.load(std::memory_order_relaxed));
  call.word.store(Word{word.generation, State::free}.pack(), std::memory_order_relaxed);
  give_slot(slot);
  return outcome;
}

void LinkCore::forget_done(Outgoing& call) {
  // Relaxed: only the owner sets it.
  if (call.has_done.load(std::memory_order_relaxed)) forget_ready(&call, call.done, call.has_done);
}

// What is dropped may be a request or a pending reply: not with the mutex held.
void LinkCore::forget_ready(const void* key, std::function<void()>& waiting,
                            base::LocalAtomic<bool>& is_set) {
  std::function<void()> former;
  std::function<void()> due;
  const std::lock_guard lock(mutex_);
  former.swap(waiting);
  const auto found = std::find_if(ready_.begin(), ready_.end(),
                                  [key](const Ready& ready) { return ready.key == key; });
  if (found != ready_.end()) {
    due.swap(found->done);
    ready_.erase(found);
  }
  is_set.store(false, std::memory_order_relaxed);
}

bool LinkCore::give_up(std::uint32_t slot, std::optional<std::uint32_t> detail) noexcept {
  auto& call = outgoing_[slot];
  // Relaxed: the generation is the owner's.
  const auto generation = Word::unpack(call.word.load(std::memory_order_relaxed)).generation;
  forget_done(call);
  if (!move(call, {generation, State::open}, State::leaving)) return false;
  // Where it cannot be sent, the link is at its end.
  if (detail) {
    (void)send(RecordKind::cancel, Body(),
               {.slot = slot, .generation = generation, .detail = *detail}, 0);
  }
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
  if (is_own() && !give_up(slot, 0)) (void)collect(slot);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
