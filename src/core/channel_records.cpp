// SPDX-License-Identifier: MIT
#include "channel_slow.hpp"

// The records of a link: the same steps as those of a message, but that no send waits.
namespace mews::inline MEWS_LAYOUT::detail {

using layout::Descriptor;
using layout::RecordKind;

void ChannelCore::become_link() noexcept {
  is_link_ = true;
  consumer_.owe_at_most(layout::most_owed_cells(context_->arena().geometry().ring_cells));
}

template <class Push>
Result<void> ChannelCore::send_now(Push&& push) {
  if (!context_->is_own()) return fail(ErrorCode::wrong_process);
  const sync::RoleGuard role(send_role_);
  if (!role) return fail(ErrorCode::concurrent_use);
  const auto pushed = push();
  if (producer_.has_staged()) publish();
  if (pushed) return {};
  if (pushed.error() != ErrorCode::would_block) return failure(pushed.error());
  fail_sending(ErrorCode::peer_corrupt);
  return fail(ErrorCode::peer_corrupt,
              "the lane is full, though all open calls together fit it: the other end does not say "
              "truly what it has read");
}

Result<void> ChannelCore::send_record(RecordKind kind, std::span<const std::byte> bytes,
                                      const Envelope& envelope) {
  return send_now([&] { return push_inline(bytes, envelope, kind); });
}

Result<void> ChannelCore::check(const Loan& loan) const noexcept {
  const auto& payload = loan.payload_;
  if (!payload.is_valid()) {
    return fail(ErrorCode::invalid_argument, "the loan is empty: it was sent or moved from");
  }
  if (!payload.is_inline() && payload.core() != context_.get()) {
    return fail(ErrorCode::invalid_argument, "the loan belongs to another session");
  }
  return {};
}

Result<void> ChannelCore::send_record(RecordKind kind, Loan& loan, const Envelope& envelope) {
  if (auto checked = check(loan); !checked) return checked;
  auto& payload = loan.payload_;
  if (payload.is_inline()) {
    auto sent = send_record(kind, {payload.data(), payload.size()}, envelope);
    if (!sent) return sent;
    base::put_block(payload.data());
    payload.forget();
    return {};
  }
  return send_now([&]() -> Tried {
    if (auto may_send = check_may_send(); !may_send) return may_send;
    if (!producer_.has_room(1, ring::Room::bounded)) return refused(ErrorCode::would_block);
    return stage_slab(payload, envelope, kind);
  });
}

void ChannelCore::loan_for_reply(Result<Loan>& out, std::size_t bytes, Timeout timeout) {
  if (bytes <= layout::kMaxInlineBytes || !context_->is_own()) return loan(out, bytes, timeout);
  loan_slab(out, bytes, bytes, timeout, mem::Purpose::reply);
}

void ChannelCore::loan_in_slab(Result<Loan>& out, std::size_t bytes, Timeout timeout) {
  if (!context_->is_own()) {
    out = fail(ErrorCode::wrong_process);
    return;
  }
  loan_slab(out, bytes, bytes, timeout, mem::Purpose::ordinary);
}

ChannelCore::Tried ChannelCore::take_record(Record& out) {
  Descriptor record;
  if (auto found = next(record); !found) return found;
  out.kind = record.kind;
  return take_next(record, out.message);
}

Result<void> ChannelCore::receive_record(Record& out, const Until* until) {
  if (!context_->is_own()) return fail(ErrorCode::wrong_process);
  const sync::RoleGuard role(receive_role_);
  if (!role) return fail(ErrorCode::concurrent_use);
  const auto attempt = [&] { return take_record(out); };
  const auto tried = attempt();
  if (tried) return {};
  if (tried.error() != ErrorCode::would_block || until == nullptr) return failure(tried.error());
  return repeat(*until, attempt, [this](const Until& wait) { return wait_for_record(wait); });
}

bool ChannelCore::may_have_record() const noexcept {
  // Relaxed: it says only that it is worth looking.
  return ended_.load(std::memory_order_relaxed) >= 0 ||
         consumer_.is_published(consumer_.position());
}

void ChannelCore::drain_event() noexcept {
  slow_->wake->drain();
}

void ChannelCore::interrupt_receiver() noexcept {
  (void)in_data_.bell().ring_always();
}

const layout::CallsTaken& ChannelCore::taken_there() const noexcept {
  return context_->arena().calls_taken(out_);
}
layout::CallsTaken& ChannelCore::taken_here() const noexcept {
  return context_->arena().calls_taken(in_);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
