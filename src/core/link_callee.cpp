// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "link_core.hpp"
#include "link_wait.hpp"
#include "mews/os/coarse_clock.hpp"

// The callee's side: the queue of requests, and their answers.
namespace mews::inline MEWS_LAYOUT::detail {

using layout::CallId;
using layout::RecordKind;

namespace {

std::int64_t nanoseconds(Deadline::Clock::time_point at) noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

/// Reads the exact clock only where the coarse one, read as `now`, leaves a doubt.
bool has_passed(Deadline deadline, Deadline::Clock::time_point now) noexcept {
  return deadline.has_passed(now + os::kCoarsest) && deadline.has_passed();
}

}  // namespace

std::optional<std::uint32_t> LinkCore::pop_request() {
  // Relaxed: a hint.
  if (queued_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto count = queued_.load(std::memory_order_relaxed);
  if (count == 0) return std::nullopt;
  const auto slot = queue_[queue_begin_];
  queue_begin_ = (queue_begin_ + 1) % static_cast<std::uint32_t>(queue_.size());
  queued_.store(count - 1, std::memory_order_relaxed);
  return slot;
}

// Returns false when it was answered here, since nobody waits for it.
bool LinkCore::begin(std::uint32_t slot, TakenCall& out) {
  auto& call = incoming_[slot];
  const auto coarse = os::coarse_now();
  const auto now = nanoseconds(coarse);
  out.is_stream = call.is_stream;
  out.deadline = call.deadline == 0 || call.is_stream
                     ? Deadline(forever)
                     : Deadline(Deadline::Clock::time_point(
                           std::chrono::nanoseconds(layout::unpack_deadline(call.deadline, now))));
  out.message = std::move(call.message);
  out.lent = std::move(call.lent);
  // Relaxed: a cancel that is missed here is seen by the callee.
  if (call.is_cancelled.load(std::memory_order_relaxed)) {
    out = TakenCall();
    (void)fail_call(slot, ErrorCode::cancelled, {});
    return false;
  }
  if (has_passed(out.deadline, coarse)) {
    out = TakenCall();
    (void)fail_call(slot, ErrorCode::timed_out, "it came too late, and was not begun");
    return false;
  }
  out.slot = slot;
  // Relaxed: this thread got the slot by the mutex.
  const auto word = Word::unpack(call.word.load(std::memory_order_relaxed));
  // Release: before all that the program does for it. The caller reads it once this process is
  // dead.
  channel_->taken_here().words[slot].store(layout::pack_taken(word.generation, now),
                                           std::memory_order_release);
  return true;
}

Result<TakenCall> LinkCore::accept(Timeout timeout) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  TakenCall taken;
  std::optional<Until> until;
  for (bool has_looked = false;;) {
    // Of those that still wait nobody wants an answer then.
    if (ended()) {
      tell_end();
      return tl::unexpected(end_error());
    }
    while (const auto slot = pop_request()) {
      if (begin(*slot, taken)) return taken;
      // They may come without end.
      if (until && (until->is_cancelled() || until->deadline.has_passed())) break;
    }
    if (!timeout.may_wait()) {
      if (has_looked) return fail(ErrorCode::would_block);
      if (auto looked = look(); !looked) return tl::unexpected(std::move(looked.error()));
      has_looked = true;
      continue;
    }
    if (!until) until = this->until(timeout);
    std::optional<std::uint32_t> own;
    auto waited = wait({.key = &queue_}, {.request = &own}, *until, [&] {
      return own || queued_.load(std::memory_order_seq_cst) > 0 || ended();
    });
    if (!waited) return tl::unexpected(std::move(waited.error()));
    if (own && begin(*own, taken)) return taken;
  }
}

/// Before the answer is sent: as soon as it is, the caller may use the slot anew.
CallId LinkCore::close_request(std::uint32_t slot) {
  auto& call = incoming_[slot];
  // Relaxed, both: the callee's.
  const auto word = Word::unpack(call.word.load(std::memory_order_relaxed));
  if (call.has_stops.load(std::memory_order_relaxed)) {
    const std::lock_guard lock(mutex_);
    call.stops.reset();
    call.has_stops.store(false, std::memory_order_relaxed);
  }
  std::shared_ptr<StreamEnd> former;
  std::unique_lock<sync::Mutex> lock;
  if (call.is_stream) {
    // With the mutex, in which the lead finds the stream, or that it is closed.
    lock = std::unique_lock(mutex_);
    former.swap(call.stream);
    call.is_stream_finished = false;
    // Relaxed: the answer that follows tells the other end.
    streams_there_.fetch_sub(1, std::memory_order_relaxed);
  }
  // [K5] release: the callee is done with the request's fields; partner [K6].
  call.word.store(Word{word.generation, State::free}.pack(), std::memory_order_release);
  return {.slot = slot, .generation = word.generation};
}

void LinkCore::reopen_request(std::uint32_t slot, std::uint32_t generation) {
  auto closed = Word{generation, State::free}.pack();
  // Acquire: what the lead wrote, where it has let in another request, as no correct link sends it
  // before it has this one's answer. ABA: the generation.
  if (!incoming_[slot].word.compare_exchange_strong(closed, Word{generation, State::open}.pack(),
                                                    std::memory_order_acquire,
                                                    std::memory_order_acquire)) {
    channel_->end(ErrorCode::peer_corrupt, detail_text([&] {
                    return fmt::format("{}: a request in slot {} before the last one was answered",
                                       channel_->session().peer_name(channel_->other()), slot);
                  }));
  }
}

Result<void> LinkCore::reply(std::uint32_t slot, const Body& body, std::uint32_t type,
                             Deadline deadline) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  if (body.loan() == nullptr && body.bytes().size() > layout::kMaxInlineBytes) {
    auto loan = loan_of(body.bytes(), mem::Purpose::reply, Timeout(deadline));
    if (!loan) return tl::unexpected(std::move(loan.error()));
    return reply(slot, Body(std::move(*loan)), type, deadline);
  }
  const auto id = close_request(slot);
  auto sent = send(RecordKind::reply, body, id, type);
  if (!sent) reopen_request(slot, id.generation);
  return sent;
}

Result<void> LinkCore::fail_call(std::uint32_t slot, ErrorCode code, std::string_view text) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  auto id = close_request(slot);
  id.detail = static_cast<std::uint32_t>(code);
  auto sent = send(RecordKind::failure, Body(text.substr(0, layout::kMaxInlineBytes)), id, 0);
  if (!sent) reopen_request(slot, id.generation);
  return sent;
}

bool LinkCore::is_cancelled(std::uint32_t slot) {
  if (!is_own()) return true;
  (void)look();
  // Relaxed: it only says that the answer is not needed.
  return incoming_[slot].is_cancelled.load(std::memory_order_relaxed) || ended();
}

std::stop_token LinkCore::stop_token(std::uint32_t slot) {
  if (!is_own()) return {};
  auto& call = incoming_[slot];
  std::optional<std::stop_source> stop_now;
  std::stop_token token;
  {
    const std::lock_guard lock(mutex_);
    if (!call.stops) call.stops.emplace();
    call.has_stops.store(true, std::memory_order_relaxed);
    token = call.stops->get_token();
    // seq_cst: after `stops`, which the mutex orders as well; partner: `take_in_cancel`.
    if (call.is_cancelled.load(std::memory_order_seq_cst) || ended()) stop_now = call.stops;
  }
  if (stop_now) stop_now->request_stop();
  return token;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
