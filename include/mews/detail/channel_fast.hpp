// SPDX-License-Identifier: MIT
#pragma once

#include "mews/detail/channel_core.hpp"

/// The path of a message, in order: from the loan at one end to the drop at the other. This code is
/// compiled into the program. Each function makes one attempt, without a clock, a system call or a
/// text. If the attempt fails, it has changed nothing; the `_slow` twin is called with the same
/// arguments and does the rest: a second look, a wait, an error.
///
/// A payload of up to 480 bytes lies in a block of private memory before and after the transfer,
/// and in the lane's cells in between. A larger one lies in a slab; its truth word names its owner:
///
///   loan      free -> held by the sender         a home slab in turn
///   send      held -> in flight on the lane      then the record, then its publication, the bell
///   receive   in flight -> held by the receiver  before the lane's head moves on
///   drop      held -> free                       then a process that waits for a slab is woken
///
/// After a death between any two of these steps the host recovers by the truth word alone:
/// docs/crashes.md.
namespace mews::inline MEWS_LAYOUT::detail {

// ---- loan

inline bool ChannelCore::loan_fast(Payload& payload, std::size_t bytes) noexcept {
  if (!context_->is_own()) [[unlikely]]
    return false;
  if (bytes <= layout::kMaxInlineBytes) {
    auto* const block = base::get_block();
    if (block == nullptr) [[unlikely]]
      return false;
    payload.become_inline(block, bytes);
    return true;
  }
  if (!context_->claim_fast(payload.slab(), bytes)) [[unlikely]]
    return false;
  context_->count_out();
  payload.become_slab(*context_, bytes);
  return true;
}

inline void ChannelCore::loan(Result<Loan>& out, std::size_t bytes, Timeout timeout) {
  if (!loan_fast(out->payload_, bytes)) [[unlikely]]
    loan_slow(out, bytes, timeout);
}

// ---- send: role, room in the lane, slab held -> in flight, record, publication, bell

inline bool ChannelCore::may_send() const noexcept {
  // Relaxed: an end that is missed here costs one record, which nobody receives. A slab is checked
  // again, in [E2].
  return !send_failed_ && ended_.load(std::memory_order_relaxed) < 0 &&
         !producer_.has_reader_left();
}

inline bool ChannelCore::stage_fast(std::span<const std::byte> bytes, Envelope envelope) noexcept {
  return may_send() &&
         producer_.try_stage_fast(
             {.type = envelope.type, .correlation = envelope.correlation, .bytes = bytes.size()},
             bytes);
}

inline bool ChannelCore::stage_fast(Payload& payload, Envelope envelope) noexcept {
  auto& slab = payload.slab();
  // The room comes first: once the slab is in flight, staging must not fail.
  if (!may_send() || !producer_.has_room_fast()) return false;
  if (!context_->pool().try_mark_in_flight_fast(slab, out_)) return false;
  // [E2] seq_cst: after the exchange; partner [E1], before the host's reclaiming scan. Either the
  // scan finds the slab in flight to a dead peer, or this thread sees the end.
  if (ended_.load(std::memory_order_seq_cst) >= 0) [[unlikely]] {
    undo_send(payload);
    return false;
  }
  (void)producer_.try_stage_fast({.slab_class = static_cast<std::uint8_t>(slab.size_class.value()),
                                  .type = envelope.type,
                                  .correlation = envelope.correlation,
                                  .bytes = payload.size(),
                                  .slab_index = slab.first.value(),
                                  .generation = layout::TruthWord::unpack(slab.word).generation},
                                 {});
  return true;
}

inline bool ChannelCore::send_fast(std::span<const std::byte> bytes, Envelope envelope) noexcept {
  if (bytes.size() > layout::kMaxInlineBytes || !context_->is_own()) [[unlikely]]
    return false;
  const sync::RoleGuard role(send_role_);
  if (!role || !stage_fast(bytes, envelope)) [[unlikely]]
    return false;
  publish();
  return true;
}

inline bool ChannelCore::send_fast(Payload& payload, Envelope envelope) noexcept {
  if (payload.is_inline()) {
    if (!payload.is_valid() || !send_fast({payload.data(), payload.size()}, envelope)) return false;
    base::put_block(payload.data());
    payload.forget();
    return true;
  }
  if (payload.core() != context_.get() || !context_->is_own()) [[unlikely]]
    return false;
  const sync::RoleGuard role(send_role_);
  if (!role || !stage_fast(payload, envelope)) [[unlikely]]
    return false;
  publish();
  disown(payload);
  return true;
}

inline Result<void> ChannelCore::send(std::span<const std::byte> bytes, Envelope envelope,
                                      Timeout timeout) {
  if (send_fast(bytes, envelope)) [[likely]]
    return {};
  return send_slow(bytes, envelope, timeout);
}

inline Result<void> ChannelCore::send(Loan& loan, Envelope envelope, Timeout timeout) {
  if (send_fast(loan.payload_, envelope)) [[likely]]
    return {};
  return send_slow(loan, envelope, timeout);
}

// ---- receive: role, record, slab in flight -> held, on to the next record, cells given back

// `record` is a private copy of the descriptor, already checked.
inline bool ChannelCore::take_fast(const layout::Descriptor& record, Payload& payload) noexcept {
  if (record.slab_class == layout::kNoClass) {
    auto* const block = base::get_block();
    if (block == nullptr) [[unlikely]]
      return false;
    consumer_.copy_inline(
        record, std::span<std::byte, layout::kMaxInlineBytes>(block, layout::kMaxInlineBytes));
    payload.become_inline(block, record.bytes);
    return true;
  }
  const mem::SlabHandle handle{.size_class = record.slab_class,
                               .index = record.slab_index,
                               .generation = record.generation,
                               .bytes = record.bytes};
  if (!context_->pool().try_accept_fast(payload.slab(), handle, in_, other_)) return false;
  context_->count_out();
  payload.become_slab(*context_, record.bytes);
  return true;
}

inline bool ChannelCore::receive_fast(Message& message) noexcept {
  if (!context_->is_own()) [[unlikely]]
    return false;
  const sync::RoleGuard role(receive_role_);
  if (!role || receive_failed_ || is_loop_armed_) [[unlikely]]
    return false;
  layout::Descriptor record;
  if (!consumer_.look_fast(record) || !take_fast(record, message.payload_)) return false;
  message.envelope_ = {.type = record.type, .correlation = record.correlation};
  consumer_.advance(record);
  give_back_cells(ring::Look::record);
  return true;
}

inline void ChannelCore::receive(Result<Message>& out, Timeout timeout) {
  if (!receive_fast(*out)) [[unlikely]]
    receive_slow(out, timeout);
}

// ---- drop: `PeerContext::release`, from `Payload`

}  // namespace mews::inline MEWS_LAYOUT::detail
