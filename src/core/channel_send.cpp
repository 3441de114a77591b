// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cstring>

#include "channel_core.hpp"
#include "texts.hpp"

// The way of a message out: role, room in the lane, slab held -> in_flight, record, publication,
// bell. Whatever fails, fails before the payload has changed hands.
namespace mews::detail {

using layout::Descriptor;

std::optional<ErrorCode> ChannelCore::why_not_send() const noexcept {
  if (send_failed_) return send_failed_;
  // Relaxed: an early look. For a slab the one that counts follows held -> in_flight; for inline
  // bytes nothing hangs on it: what is sent to the dead, nobody receives.
  if (ended_.load(std::memory_order_relaxed) >= 0) return ended();
  return producer_.has_reader_left() ? Code(ErrorCode::closed) : std::nullopt;
}

std::optional<ErrorCode> ChannelCore::push(Payload& payload, Envelope envelope) {
  if (!payload.is_inline()) return push_slab(payload, envelope);
  const auto failed = push_inline({payload.data(), payload.size()}, envelope);
  if (failed) return failed;
  base::put_block(payload.data());
  payload.forget();
  return {};
}

std::optional<ErrorCode> ChannelCore::push_inline(std::span<const std::byte> bytes,
                                                  Envelope envelope) {
  if (const auto why = why_not_send()) return why;
  const Descriptor descriptor{
      .type = envelope.type, .correlation = envelope.correlation, .bytes = bytes.size()};
  switch (producer_.try_stage(descriptor, bytes, ring::Room::ordinary)) {
    case ring::Push::done:
      return {};
    case ring::Push::full:
      return ErrorCode::would_block;
    case ring::Push::corrupt:
      break;
  }
  send_failed_ = ErrorCode::peer_corrupt;
  return send_failed_;
}

std::optional<ErrorCode> ChannelCore::push_slab(Payload& payload, Envelope envelope) {
  if (const auto why = why_not_send()) return why;
  // Room is made sure of before the slab changes hands.
  if (!producer_.has_room(1, ring::Room::ordinary)) return ErrorCode::would_block;
  if (const auto failed = mark_in_flight(payload)) return failed;
  const auto& slab = payload.slab();
  const Descriptor descriptor{.slab_class = static_cast<std::uint8_t>(slab.size_class.value()),
                              .type = envelope.type,
                              .correlation = envelope.correlation,
                              .bytes = payload.size(),
                              .slab_index = slab.first.value(),
                              .generation = layout::TruthWord::unpack(slab.word).generation};
  if (producer_.try_stage(descriptor, {}, ring::Room::ordinary) != ring::Push::done) {
    take_back(payload);
    send_failed_ = ErrorCode::peer_corrupt;
    return send_failed_;
  }
  let_go(payload);
  return {};
}

std::optional<ErrorCode> ChannelCore::mark_in_flight(Payload& payload) {
  auto& pool = session_->pool();
  auto& slab = payload.slab();
  if (slab.count > 1) pool.shrink(slab, payload.size());
  // Somebody scribbled over the truth word: the slab cannot be accounted for any more.
  if (!pool.send(slab, out_)) return ErrorCode::peer_corrupt;
  const auto why = ended();
  if (why) take_back(payload);
  return why;
}

// The other process is dead and its share of the arena is being reclaimed: whoever is first, this
// thread or the reclaiming scan, the slab ends up in one place.
void ChannelCore::take_back(Payload& payload) noexcept {
  if (!session_->pool().unsend(payload.slab(), out_)) let_go(payload);
}

void ChannelCore::let_go(Payload& payload) noexcept {
  session_->count_in();
  payload.forget();
}

void ChannelCore::publish() {
  producer_.publish();
  ring(out_data_);
}

template <class Push>
Result<void> ChannelCore::send_one(std::uint32_t cells, Patience patience, Push&& push) {
  const auto attempt = [&] {
    const auto failed = push();
    // Also what only leads on to where there will be room.
    if (producer_.has_staged()) publish();
    return failed;
  };
  return in_role({send_role_, out_space_}, patience, attempt,
                 [&](const Until& until) { return wait_for_room(until, cells); });
}

Result<void> ChannelCore::send(Loan& loan, Envelope envelope, Patience patience) {
  if (!session_->is_own()) return fail(ErrorCode::wrong_process);
  auto& payload = loan.payload_;
  if (!payload.is_valid()) {
    return fail(ErrorCode::invalid_argument, "the loan is empty: it was sent or moved from");
  }
  if (!payload.is_inline() && payload.core() != session_.get()) {
    return fail(ErrorCode::invalid_argument, "the loan belongs to another session");
  }
  const auto cells = payload.is_inline() ? layout::record_cells(payload.size()) : 1;
  return send_one(cells, patience, [&] { return push(payload, envelope); });
}

Result<void> ChannelCore::send(std::span<const std::byte> bytes, Envelope envelope,
                               Patience patience) {
  if (bytes.size() <= layout::kMaxInlineBytes) {
    return send_one(layout::record_cells(bytes.size()), patience,
                    [&] { return push_inline(bytes, envelope); });
  }
  // One deadline for both waits.
  if (patience.may_wait()) patience = Patience::of(session_->until(patience));
  Result<Loan> loan;
  this->loan(loan, bytes.size(), patience);
  if (!loan) return tl::unexpected(std::move(loan.error()));
  std::memcpy(loan->bytes().data(), bytes.data(), bytes.size());
  return send(*loan, envelope, patience);
}

Result<std::size_t> ChannelCore::try_send_batch(std::span<Loan> loans, Envelope envelope) {
  if (!session_->is_own()) return fail(ErrorCode::wrong_process);
  for (const auto& loan : loans) {
    if (!loan.is_valid() ||
        (!loan.payload_.is_inline() && loan.payload_.core() != session_.get())) {
      return fail(ErrorCode::invalid_argument, "a loan is empty or belongs to another session");
    }
  }
  const sync::RoleHold role(send_role_);
  if (!role) return fail(ErrorCode::concurrent_use);
  std::size_t count = 0;
  Code failed;
  while (count < loans.size() && !failed) {
    failed = push(loans[count].payload_, envelope);
    if (!failed) ++count;
  }
  if (producer_.has_staged()) publish();
  if (count == 0 && failed) return failure(*failed);
  return count;
}

Result<void> ChannelCore::close() {
  if (!session_->is_own()) return fail(ErrorCode::wrong_process);
  const sync::RoleHold role(send_role_);
  if (!role) return fail(ErrorCode::concurrent_use);
  if (send_failed_) return {};
  Descriptor descriptor;
  descriptor.kind = layout::RecordKind::close;
  const auto pushed = producer_.try_stage(descriptor, {}, ring::Room::control);
  send_failed_ = ErrorCode::closed;
  if (pushed == ring::Push::done) publish();
  return {};
}

Result<void> ChannelCore::wait_for_room(const Until& until, std::uint32_t cells) {
  // Relaxed: an end that is missed here is asked for once more after arming.
  const auto is_ready = [&] {
    return producer_.has_room(cells, ring::Room::ordinary) || producer_.has_reader_left() ||
           ended_.load(std::memory_order_relaxed) >= 0;
  };
  const auto began = Deadline::Clock::now();
  const auto& head = session_->arena().lane(out_).head;
  // Relaxed: for a text.
  const auto head_before = head.load(std::memory_order_relaxed);
  if (send_spin_.spin(is_ready, until.deadline)) return {};
  for (;;) {
    const auto ticket = out_space_.arm(sync::Sleeper::futex);
    if (is_ready() || ended()) return {};
    if (until.is_cancelled()) return fail(ErrorCode::cancelled);
    if (until.deadline.has_passed()) {
      return fail(ErrorCode::timed_out, detail_text([&] {
                    return full_text(head_before, Deadline::Clock::now() - began);
                  }));
    }
    send_spin_.set_limit(session_->spin_limit());
    out_space_.sleep(ticket, session_->next_look(until.deadline));
  }
}

std::string ChannelCore::full_text(std::uint64_t head_before,
                                   Deadline::Clock::duration waited) const {
  const auto& self = *session_;
  // Relaxed: for a text.
  const auto head = self.arena().lane(out_).head.load(std::memory_order_relaxed);
  const auto name = self.peer_name(other_);
  return fmt::format("lane {}->{} full for {}: {} of {} cells; {} {}{}",
                     self.peer_name(self.self()), name, duration_text(waited),
                     producer_.used_cells(), producer_.capacity_cells(), name,
                     head == head_before ? "has not read since" : "reads, but too slowly",
                     self.absence_text(other_));
}

}  // namespace mews::detail
