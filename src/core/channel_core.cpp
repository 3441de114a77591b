// SPDX-License-Identifier: MIT
#include "channel_slow.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "texts.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

ChannelCore::ChannelCore(std::shared_ptr<PeerContext> context, PeerId plugin,
                         std::shared_ptr<os::WakeEnd> wake)
    : context_(std::move(context)),
      other_(context_->self() == kHostPeer ? plugin : kHostPeer),
      out_(context_->self() == kHostPeer ? lane_to_plugin(channel_of(plugin))
                                         : lane_to_host(channel_of(plugin))),
      in_(context_->self() == kHostPeer ? lane_to_host(channel_of(plugin))
                                        : lane_to_plugin(channel_of(plugin))),
      out_data_(context_->arena().lane(out_).data_bell),
      out_space_(sync::Doorbell(context_->arena().lane(out_).space_bell)),
      in_data_(sync::Doorbell(context_->arena().lane(in_).data_bell)),
      in_space_(context_->arena().lane(in_).space_bell),
      slow_(std::make_unique<Slow>(std::move(wake), *context_)),
      producer_(context_->arena().lane(out_), context_->arena().cells(out_), context_->window()),
      consumer_(context_->arena().lane(in_), context_->arena().cells(in_)) {}

ChannelCore::~ChannelCore() {
  context_->count_channel(slabs_received_ - slabs_sent_);
}

sync::Turn& ChannelCore::shared_turn() noexcept {
  return slow_->shared_turn;
}
int ChannelCore::event_fd() const noexcept {
  return slow_->wake->event_fd();
}
int ChannelCore::hang_up_fd() const noexcept {
  return slow_->wake->hang_up_fd();
}

void ChannelCore::loan_slow(Result<Loan>& out, std::size_t bytes, Timeout timeout) {
  if (!context_->is_own()) {
    out = fail(ErrorCode::wrong_process);
    return;
  }
  if (bytes > layout::kMaxInlineBytes) return loan_slab(out, bytes, bytes, timeout);
  auto* const block = base::get_block();
  if (block == nullptr) {
    out = fail(ErrorCode::out_of_memory);
    return;
  }
  out->payload_.become_inline(block, bytes);
}

// Slabs of a page and more are aligned to a page, smaller ones to their size. An alignment above
// the payload's size needs a larger slab.
void ChannelCore::loan_aligned(Result<Loan>& out, std::size_t bytes, std::size_t alignment,
                               Timeout timeout) {
  if (!context_->is_own()) {
    out = fail(ErrorCode::wrong_process);
    return;
  }
  if (!std::has_single_bit(alignment) || alignment > layout::kPageBytes) {
    out = fail(ErrorCode::invalid_argument, detail_text([&] {
                 return fmt::format("alignment is {}, not a power of two up to {}", alignment,
                                    layout::kPageBytes);
               }));
    return;
  }
  if (alignment <= base::kBlockAlignment) return loan(out, bytes, timeout);
  const auto& geometry = context_->arena().geometry();
  const auto largest = geometry.classes[geometry.class_count - 1].slab_bytes;
  if (alignment > largest) {
    out = fail(ErrorCode::invalid_argument, detail_text([&] {
                 return fmt::format("alignment is {}, but this arena's largest slabs are of {}",
                                    alignment, size_text(largest));
               }));
    return;
  }
  loan_slab(out, bytes, std::max(bytes, alignment), timeout);
}

/// `room`: least size of the slab in bytes, at least `bytes`.
void ChannelCore::loan_slab(Result<Loan>& out, std::size_t bytes, std::size_t room, Timeout timeout,
                            mem::Purpose purpose) {
  auto& payload = out->payload_;
  auto claimed = context_->claim(payload.slab(), room, timeout, purpose);
  if (!claimed) {
    out = tl::unexpected(std::move(claimed.error()));
    return;
  }
  context_->count_out();
  payload.become_slab(*context_, bytes);
}

void ChannelCore::ring_slow(const sync::Doorbell& bell) noexcept {
  if (bell.ring(fence())) slow_->wake->signal_other();
}

// The light fence is enough once the other process says that it is registered too. Before it has
// attached, nobody sleeps there, and the full fence costs little.
sync::RingFence ChannelCore::fence() noexcept {
  // Relaxed: a note. Once the load below has read 1, that stays true.
  if (is_light_.load(std::memory_order_relaxed)) return sync::RingFence::light;
  // Acquire: its registration came before. Partners: `take_seat`, `fill_host_entry`.
  const bool is_light = os::has_light_fence() &&
                        context_->arena().peer(other_).fences.load(std::memory_order_acquire) == 1;
  // Relaxed: a note.
  is_light_.store(is_light, std::memory_order_relaxed);
  return sync::RingFence::full;
}

void ChannelCore::end(ErrorCode why, std::string how) noexcept {
  std::call_once(slow_->end_once, [&] {
    slow_->end_how = std::move(how);
    // [E1] seq_cst: `end_how` before it; the bells and the host's reclaiming scan after it.
    // Partners: the sender's look after held -> in flight [E2], the receiver's look [E3], and the
    // waiters' looks after arming [E4].
    ended_.store(static_cast<int>(why), std::memory_order_seq_cst);
  });
  (void)in_data_.bell().ring_always();
  (void)out_space_.bell().ring_always();
  // Even if the bell shows no event loop: the other end may have died after it cleared the event
  // loop's bit and before it signalled.
  slow_->wake->signal_own();
}

void ChannelCore::leave() noexcept {
  // The other end knows already, or is gone. The lanes may belong to the seat's next process soon.
  if (ended()) return;
  (void)close();
  // Release: before the bell, whose fence orders it against the sender's look after arming
  // (`LaneProducer::has_reader_left`, relaxed).
  context_->arena().lane(in_).reader_left.store(1, std::memory_order_release);
  (void)in_space_.ring_always();
}

std::optional<ErrorCode> ChannelCore::ended() const noexcept {
  // [E2] seq_cst: after held -> in flight (`mark_in_flight`), before `end_how`; partner [E1].
  const auto code = ended_.load(std::memory_order_seq_cst);
  return code < 0 ? std::nullopt : std::optional(static_cast<ErrorCode>(code));
}

tl::unexpected<Error> ChannelCore::failure(ErrorCode code) const {
  if (code == ErrorCode::out_of_memory) {
    return fail(code, "no pages for the next message: it stays, and the next receive tries again");
  }
  if (code == ErrorCode::peer_corrupt && receive_detail_ != nullptr) {
    return fail(code, receive_detail_);
  }
  return ended() == code ? fail(code, detail_text([this] { return slow_->end_how; })) : fail(code);
}

std::vector<mem::SlabHandle> ChannelCore::published() const {
  std::vector<mem::SlabHandle> handles;
  ring::walk_published(context_->arena().cells(in_), consumer_.position(),
                       [&](const layout::Descriptor& record) {
                         if (record.slab_class == layout::kNoClass) return;
                         handles.push_back(mem::handle_of(record));
                       });
  return handles;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
