// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cstring>

#include "channel_slow.hpp"
#include "texts.hpp"

// The path of a message out: role, room in the lane, slab held -> in flight, record, publication,
// bell. A step that can fail comes before the payload changes hands.
namespace mews::inline MEWS_LAYOUT::detail {

using layout::Descriptor;

namespace {

// All records of a link fit the lane together with its control records: see `layout::LinkLimits`.
ring::Room room_for(layout::RecordKind kind) noexcept {
  return layout::is_of_link(kind) ? ring::Room::bounded : ring::Room::ordinary;
}

}  // namespace

ChannelCore::Tried ChannelCore::check_may_send() const noexcept {
  if (send_failed_) return refused(*send_failed_);
  // Relaxed: an end that is missed here costs one record, which nobody receives. `ended` looks
  // again for the reason.
  if (ended_.load(std::memory_order_relaxed) >= 0) return refused(*ended());
  if (producer_.has_reader_left()) return refused(ErrorCode::closed);
  return {};
}

ChannelCore::Tried ChannelCore::push(Payload& payload, Envelope envelope) {
  if (!payload.is_inline()) return push_slab(payload, envelope);
  auto pushed = push_inline({payload.data(), payload.size()}, envelope);
  if (!pushed) return pushed;
  base::put_block(payload.data());
  payload.forget();
  return {};
}

ChannelCore::Tried ChannelCore::push_inline(std::span<const std::byte> bytes, Envelope envelope,
                                            layout::RecordKind kind) {
  if (auto may_send = check_may_send(); !may_send) return may_send;
  const Descriptor descriptor{.kind = kind,
                              .type = envelope.type,
                              .correlation = envelope.correlation,
                              .bytes = bytes.size()};
  switch (producer_.try_stage(descriptor, bytes, room_for(kind))) {
    case ring::Push::done:
      return {};
    case ring::Push::full:
      return refused(ErrorCode::would_block);
    case ring::Push::corrupt:
      break;
  }
  fail_sending(ErrorCode::peer_corrupt);
  return refused(ErrorCode::peer_corrupt);
}

ChannelCore::Tried ChannelCore::push_slab(Payload& payload, Envelope envelope) {
  if (auto may_send = check_may_send(); !may_send) return may_send;
  // The room comes first: once the slab is in flight, staging must not fail.
  if (!producer_.has_slab_room(payload.size())) return refused(ErrorCode::would_block);
  return stage_slab(payload, envelope, layout::RecordKind::message);
}

ChannelCore::Tried ChannelCore::stage_slab(Payload& payload, Envelope envelope,
                                           layout::RecordKind kind) {
  if (auto marked = mark_in_flight(payload); !marked) return marked;
  if (producer_.try_stage_slab(descriptor_of(payload, envelope, kind), room_for(kind)) !=
      ring::Push::done) {
    undo_send(payload);
    fail_sending(ErrorCode::peer_corrupt);
    return refused(ErrorCode::peer_corrupt);
  }
  disown(payload);
  return {};
}

ChannelCore::Tried ChannelCore::mark_in_flight(Payload& payload) {
  auto& pool = context_->pool();
  auto& slab = payload.slab();
  if (slab.count > 1) pool.shrink(slab, payload.size());
  // Somebody scribbled over the truth word: the slab is lost.
  if (!pool.mark_in_flight(slab, out_)) return refused(ErrorCode::peer_corrupt);
  if (const auto why = ended()) {
    undo_send(payload);
    return refused(*why);
  }
  return {};
}

// The other process is dead and the host reclaims its slabs. Both this thread and the reclaiming
// scan try to get this slab; one of them succeeds. If the scan does, the payload is forgotten.
void ChannelCore::undo_send(Payload& payload) noexcept {
  if (!context_->pool().revoke(payload.slab(), out_)) disown(payload);
}

template <class Push>
Result<void> ChannelCore::send_one(const Need& need, Timeout timeout, Push&& push) {
  const auto attempt = [&] {
    auto pushed = push();
    // Also on failure: a filler alone may be staged, and the reader must pass it to make room.
    if (producer_.has_staged()) publish();
    return pushed;
  };
  return in_role({send_role_, out_space_.bell()}, timeout, attempt,
                 [&](const Until& until) { return wait_for_room(until, need); });
}

Result<void> ChannelCore::send_slow(Loan& loan, const Envelope& envelope, Timeout timeout) {
  if (!context_->is_own()) return fail(ErrorCode::wrong_process);
  auto& payload = loan.payload_;
  if (!payload.is_valid()) {
    // The end may have come while the slab was in flight, and the host has reclaimed it.
    if (const auto why = ended()) return failure(*why);
    return fail(ErrorCode::invalid_argument, "the loan is empty: it was sent or moved from");
  }
  if (!payload.is_inline() && payload.core() != context_.get()) {
    return fail(ErrorCode::invalid_argument, "the loan belongs to another session");
  }
  const auto need =
      payload.is_inline() ? Need::inlined(payload.size()) : Need{.slab_bytes = payload.size()};
  return send_one(need, timeout, [&] { return push(payload, envelope); });
}

Result<void> ChannelCore::send_slow(std::span<const std::byte> bytes, const Envelope& envelope,
                                    Timeout timeout) {
  if (bytes.size() <= layout::kMaxInlineBytes) {
    return send_one(Need::inlined(bytes.size()), timeout,
                    [&] { return push_inline(bytes, envelope); });
  }
  // One deadline for both waits.
  if (timeout.may_wait()) timeout = Timeout::of(context_->until(timeout));
  Result<Loan> loan;
  this->loan(loan, bytes.size(), timeout);
  if (!loan) return tl::unexpected(std::move(loan.error()));
  std::memcpy(loan->bytes().data(), bytes.data(), bytes.size());
  return send(*loan, envelope, timeout);
}

Result<std::size_t> ChannelCore::try_send_batch(std::span<Loan> loans, Envelope envelope) {
  if (!context_->is_own()) return fail(ErrorCode::wrong_process);
  for (const auto& loan : loans) {
    if (!loan.is_valid() ||
        (!loan.payload_.is_inline() && loan.payload_.core() != context_.get())) {
      return fail(ErrorCode::invalid_argument, "a loan is empty or belongs to another session");
    }
  }
  const sync::RoleGuard role(send_role_);
  if (!role) return fail(ErrorCode::concurrent_use);
  std::size_t count = 0;
  Tried pushed;
  while (count < loans.size() && pushed) {
    pushed = push(loans[count].payload_, envelope);
    if (pushed) ++count;
  }
  if (producer_.has_staged()) publish();
  if (count == 0 && !pushed) return failure(pushed.error());
  return count;
}

Result<void> ChannelCore::close() {
  if (!context_->is_own()) return fail(ErrorCode::wrong_process);
  const sync::RoleGuard role(send_role_);
  if (!role) return fail(ErrorCode::concurrent_use);
  if (send_failed_) return {};
  Descriptor descriptor;
  descriptor.kind = layout::RecordKind::close;
  const auto pushed = producer_.try_stage(descriptor, {}, ring::Room::control);
  fail_sending(ErrorCode::closed);
  if (pushed == ring::Push::done) publish();
  return {};
}

bool ChannelCore::has_room(const Need& need) {
  return need.slab_bytes ? producer_.has_slab_room(*need.slab_bytes)
                         : producer_.has_room(need.cells, ring::Room::ordinary);
}

Result<void> ChannelCore::wait_for_room(const Until& until, const Need& need) {
  // [E4] relaxed: an end that is missed here rings the bell afterwards, armed or not; partner [E1].
  const auto is_ready = [&] {
    return has_room(need) || producer_.has_reader_left() ||
           ended_.load(std::memory_order_relaxed) >= 0;
  };
  // Relaxed: for a text.
  const auto head_before = context_->arena().lane(out_).head.load(std::memory_order_relaxed);
  return wait_at(
      {out_space_, slow_->send_spin, producer_.position()}, until, is_ready,
      [&](Deadline::Clock::duration waited) { return full_text(need, head_before, waited); });
}

std::string ChannelCore::full_text(const Need& need, std::uint64_t head_before,
                                   Deadline::Clock::duration waited) {
  const auto& self = *context_;
  // Relaxed: for a text.
  const auto head = self.arena().lane(out_).head.load(std::memory_order_relaxed);
  const auto name = self.peer_name(other_);
  const auto& window = producer_.window();
  const bool has_cells = producer_.has_room(need.cells, ring::Room::ordinary);
  const auto used =
      has_cells ? fmt::format("its window of slabs is used up, {} of {}", size_text(window.used()),
                              size_text(window.limit()))
                : fmt::format("{} of {} cells", producer_.used_cells(), producer_.capacity_cells());
  return fmt::format("lane {}->{} full for {}: {}; {} {}{}", self.peer_name(self.self()), name,
                     duration_text(waited), used, name,
                     head == head_before ? "has not read since" : "reads, but too slowly",
                     self.absence_text(other_));
}

}  // namespace mews::inline MEWS_LAYOUT::detail
