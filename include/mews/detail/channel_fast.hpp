// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/inline.hpp"
#include "mews/detail/channel_core.hpp"

/// The path of a message, in order: from the loan at one end to the drop at the other. This code is
/// compiled into the program. Each function makes one attempt, without a clock, a wait or a
/// text, and makes a system call only to wake a sleeper. If the attempt fails, it has changed
/// nothing; the `_slow` twin is called with the same arguments and does the rest: a second look, a
/// wait, an error.
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

MEWS_HOT bool ChannelCore::loan_fast(Payload& payload, std::size_t bytes) noexcept {
  if (!fork_stamp_.is_this_process()) [[unlikely]]
    return false;
  if (bytes <= layout::kMaxInlineBytes) {
    auto* const block = base::get_block();
    if (block == nullptr) [[unlikely]]
      return false;
    payload.become_inline(block, bytes);
    return true;
  }
  if (!context_->pool().try_claim_fast(payload.slab(), bytes)) [[unlikely]]
    return false;
  auto& context = *context_;
  context.count_out();
  payload.become_slab(context, bytes);
  return true;
}

MEWS_HOT void ChannelCore::loan(Result<Loan>& out, std::size_t bytes, Timeout timeout) {
  if (!loan_fast(out->payload_, bytes)) [[unlikely]]
    loan_slow(out, bytes, timeout);
}

// ---- send: role, room in the lane, slab held -> in flight, record, publication, bell

MEWS_HOT bool ChannelCore::may_send() const noexcept {
  // Relaxed: an end that is missed here costs one record, which nobody receives. A slab is checked
  // again, in [E2].
  return ended_.load(std::memory_order_relaxed) < 0 && !producer_.has_reader_left();
}

MEWS_HOT bool ChannelCore::push_fast(std::span<const std::byte> bytes, Envelope envelope) noexcept {
  return may_send() &&
         producer_.try_push_fast(
             {.type = envelope.type, .correlation = envelope.correlation, .bytes = bytes.size()},
             bytes);
}

MEWS_HOT layout::Descriptor ChannelCore::descriptor_of(Payload& payload, Envelope envelope,
                                                       layout::RecordKind kind) noexcept {
  const auto& slab = payload.slab();
  return {.kind = kind,
          .slab_class = static_cast<std::uint8_t>(slab.size_class.value()),
          .type = envelope.type,
          .correlation = envelope.correlation,
          .bytes = payload.size(),
          .slab_index = slab.first.value(),
          .generation = layout::TruthWord::unpack(slab.word).generation};
}

MEWS_HOT bool ChannelCore::push_fast(Payload& payload, Envelope envelope) noexcept {
  auto& slab = payload.slab();
  // The room comes first: once the slab is in flight, staging must not fail.
  if (!may_send() || !producer_.has_slab_room_fast()) return false;
  if (!context_->pool().try_mark_in_flight_fast(slab, out_)) return false;
  // [E2] seq_cst: after the exchange; partner [E1], before the host's reclaiming scan. Either the
  // scan finds the slab in flight to a dead peer, or this thread sees the end.
  if (ended_.load(std::memory_order_seq_cst) >= 0) [[unlikely]] {
    undo_send(payload);
    return false;
  }
  producer_.push_slab_fast(descriptor_of(payload, envelope));
  disown(payload);
  return true;
}

// Each way out leaves by itself: a guard would join them, and what is refused is cold code.
template <class Sent>
MEWS_HOT bool ChannelCore::push_in_role(Sent& sent, Envelope envelope) noexcept {
  auto* const role = send_role_.try_enter();
  if (role == nullptr) return false;
  if (!push_fast(sent, envelope)) {
    sync::Role::leave(*role);
    return false;
  }
  ring(out_data_);
  sync::Role::leave(*role);
  return true;
}

MEWS_HOT bool ChannelCore::send_fast(std::span<const std::byte> bytes, Envelope envelope) noexcept {
  if (bytes.size() > layout::kMaxInlineBytes || !fork_stamp_.is_this_process()) [[unlikely]]
    return false;
  return push_in_role(bytes, envelope);
}

MEWS_HOT bool ChannelCore::send_fast(Payload& payload, Envelope envelope) noexcept {
  if (payload.is_inline()) {
    if (!payload.is_valid() || !send_fast({payload.data(), payload.size()}, envelope)) return false;
    base::put_block(payload.data());
    payload.forget();
    return true;
  }
  if (payload.core() != context_.get() || !fork_stamp_.is_this_process()) [[unlikely]]
    return false;
  return push_in_role(payload, envelope);
}

MEWS_HOT Result<void> ChannelCore::send(std::span<const std::byte> bytes, Envelope envelope,
                                        Timeout timeout) {
  if (send_fast(bytes, envelope)) [[likely]]
    return {};
  return send_slow(bytes, envelope, timeout);
}

MEWS_HOT Result<void> ChannelCore::send(Loan& loan, Envelope envelope, Timeout timeout) {
  if (send_fast(loan.payload_, envelope)) [[likely]]
    return {};
  return send_slow(loan, envelope, timeout);
}

// ---- receive: role, record, slab in flight -> held, on to the next record, cells given back

// `record` is a private copy of the descriptor, already checked.
MEWS_HOT bool ChannelCore::take_fast(const layout::Cell& first, const layout::Descriptor& record,
                                     Payload& payload) noexcept {
  if (record.slab_class == layout::kNoClass) [[likely]] {
    auto* const block = base::get_block();
    if (block == nullptr) [[unlikely]]
      return false;
    ring::LaneConsumer::copy_inline(
        first, record.bytes,
        std::span<std::byte, layout::kMaxInlineBytes>(block, layout::kMaxInlineBytes));
    payload.become_inline(block, record.bytes);
    return true;
  }
  if (!context_->pool().try_accept_fast(payload.slab(), mem::handle_of(record), in_, other_)) {
    return false;
  }
  ++slabs_received_;
  payload.become_slab(*context_, record.bytes);
  return true;
}

MEWS_HOT bool ChannelCore::receive_fast(Message& message) noexcept {
  if (!fork_stamp_.is_this_process()) [[unlikely]]
    return false;
  auto* const role = receive_role_.try_enter();
  if (role == nullptr) return false;
  layout::Descriptor record;
  const auto* first = is_receive_plain_ ? consumer_.look_fast(record) : nullptr;
  if (first == nullptr || !take_fast(*first, record, message.payload_)) {
    sync::Role::leave(*role);
    return false;
  }
  message.envelope_ = {.type = record.type, .correlation = record.correlation};
  const auto position = consumer_.advance(record);
  if (consumer_.release_cells(ring::Look::record, position)) ring(in_space_);
  sync::Role::leave(*role);
  return true;
}

MEWS_HOT void ChannelCore::receive(Result<Message>& out, Timeout timeout) {
  if (!receive_fast(*out)) [[unlikely]]
    receive_slow(out, timeout);
}

// ---- drop: `PeerContext::release`, from `Payload`

}  // namespace mews::inline MEWS_LAYOUT::detail
