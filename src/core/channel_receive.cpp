// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "channel_slow.hpp"
#include "look_timer.hpp"
#include "texts.hpp"

// The path of a message in: role, record, slab in flight -> held, on to the next record, cells
// given back. A descriptor is copied once, checked, then used.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

constexpr auto kLoop = sync::Sleeper::event_loop;
constexpr std::uint32_t kMostNeedlessArms = 16;

}  // namespace

using layout::Descriptor;

ChannelCore::Tried ChannelCore::next(Descriptor& record) {
  if (receive_failed_) return refused(*receive_failed_);
  // [E3] acquire: before the look, which then finds each record published before the end; partner
  // [E1].
  const bool has_ended = ended_.load(std::memory_order_acquire) >= 0;
  const auto look = consumer_.look(record);
  if (look == ring::Look::empty) {
    give_back_cells(look);
    if (!has_ended) return refused(ErrorCode::would_block);
    is_end_told_ = true;
    return refused(*ended());
  }
  if (is_loop_armed_) disarm_loop();
  if (look == ring::Look::corrupt) {
    fail_receiving(ErrorCode::peer_corrupt);
  } else if (record.kind != layout::RecordKind::close &&
             layout::is_of_link(record.kind) != is_link_) {
    receive_detail_ = is_link_ ? "it sends messages by its channel, and this end has a link: make "
                                 "one there, too, by Link::over"
                               : "it has made a link of its channel, and this end has not: make "
                                 "one here, too, by Link::over";
    fail_receiving(ErrorCode::peer_corrupt);
  } else if (record.kind == layout::RecordKind::close) {
    consumer_.advance(record);
    give_back_cells(ring::Look::empty);
    fail_receiving(ErrorCode::closed);
  }
  if (receive_failed_) return refused(*receive_failed_);
  consumer_.adapt_steps(record.bytes);
  return {};
}

ChannelCore::Tried ChannelCore::take_payload(const Descriptor& record, Payload& payload) {
  if (take_fast(consumer_.front(), record, payload)) return {};
  // Out of memory: the record stays, and the next call tries again.
  if (record.slab_class == layout::kNoClass) return refused(ErrorCode::out_of_memory);
  if (const auto failed =
          context_->pool().accept(payload.slab(), mem::handle_of(record), in_, other_)) {
    if (failed == ErrorCode::peer_corrupt) fail_receiving(*failed);
    return refused(*failed);
  }
  ++slabs_received_;
  payload.become_slab(*context_, record.bytes);
  return {};
}

ChannelCore::Tried ChannelCore::take(Message& message) {
  Descriptor record;
  if (auto found = next(record); !found) return found;
  return take_next(record, message);
}

ChannelCore::Tried ChannelCore::take_next(const Descriptor& record, Message& message) {
  if (auto taken = take_payload(record, message.payload_); !taken) return taken;
  message.envelope_ = {.type = record.type, .correlation = record.correlation};
  consumer_.advance(record);
  give_back_cells(ring::Look::record);
  return {};
}

ChannelCore::Tried ChannelCore::visit_all(Visit visit, std::size_t limit, std::size_t& count) {
  for (count = 0; count < limit; ++count) {
    Descriptor record;
    if (auto found = next(record); !found) return count > 0 ? Tried() : found;
    const Envelope envelope{.type = record.type, .correlation = record.correlation};
    if (record.slab_class == layout::kNoClass) {
      visit({consumer_.inline_payload(record), envelope});
      consumer_.advance(record);
    } else {
      Message message;
      if (auto taken = take_payload(record, message.payload_); !taken) {
        return count > 0 ? Tried() : taken;
      }
      consumer_.advance(record);
      visit({message.bytes(), envelope});
    }
    give_back_cells(ring::Look::record);
  }
  return {};
}

bool ChannelCore::has_something() const noexcept {
  // [E4] relaxed: an end that is missed here rings the bell afterwards, armed or not; partner [E1].
  return consumer_.has_record() || ended_.load(std::memory_order_relaxed) >= 0;
}

Result<void> ChannelCore::wait_for_record(const Until& until) {
  const auto text = [this](Deadline::Clock::duration waited) {
    return fmt::format("nothing came from {} for {}{}", context_->peer_name(other_),
                       duration_text(waited), context_->absence_text(other_));
  };
  return wait_at(
      {in_data_, slow_->receive_spin, consumer_.position()}, until,
      [this] { return has_something(); }, text);
}

template <class Attempt>
Result<void> ChannelCore::receive_by(Timeout timeout, Attempt&& attempt) {
  return in_role({receive_role_, in_data_.bell()}, timeout, attempt,
                 [this](const Until& until) { return wait_for_record(until); });
}

void ChannelCore::receive_slow(Result<Message>& out, Timeout timeout) {
  auto received = receive_by(timeout, [&] { return take(*out); });
  if (!received) out = tl::unexpected(std::move(received.error()));
}

Result<std::size_t> ChannelCore::receive_batch(Visit visit, std::size_t limit, Timeout timeout) {
  if (limit == 0) return fail(ErrorCode::invalid_argument, "the limit of the batch is 0 messages");
  std::size_t count = 0;
  auto received = receive_by(timeout, [&] { return visit_all(visit, limit, count); });
  if (!received) return tl::unexpected(std::move(received.error()));
  return count;
}

// A loop that watches many channels arms all of them before it sleeps, and is woken by one or two.
// So to arm one that is armed still costs no more than a look.
Result<bool> ChannelCore::arm_event() {
  if (!context_->is_own()) return fail(ErrorCode::wrong_process);
  const sync::RoleGuard role(receive_role_);
  if (!role) return fail(ErrorCode::concurrent_use);
  if (!is_still_armed() || is_armed_too_long()) {
    auto armed = arm_loop([this] { (void)in_data_.arm(kLoop, consumer_.position()); });
    if (!armed) return tl::unexpected(std::move(armed.error()));
  }
  if (!has_something() && !receive_failed_ && !ended()) return true;
  disarm_loop();
  // A loop that always finds something never sleeps.
  context_->take_turn();
  return false;
}

// Its caller takes each signal once, so a late one does no harm to what is armed still.
Result<sync::ArmFence> ChannelCore::arm_one_of_many() {
  if (!context_->is_own()) return fail(ErrorCode::wrong_process);
  const sync::RoleGuard role(receive_role_);
  if (!role) return fail(ErrorCode::concurrent_use);
  auto due = sync::ArmFence::full;
  if (is_still_armed()) return due;
  auto armed = arm_loop([&] { due = in_data_.arm_one_of_many(kLoop, consumer_.position()); });
  if (!armed) return tl::unexpected(std::move(armed.error()));
  return due;
}

bool ChannelCore::has_news() noexcept {
  const sync::RoleGuard role(receive_role_);
  if (!role || receive_failed_) return false;
  // [E4] relaxed: as in `has_something`.
  return consumer_.has_record() || (!is_end_told_ && ended_.load(std::memory_order_relaxed) >= 0);
}

template <class Arm>
Result<void> ChannelCore::arm_loop(Arm&& arm) {
  // Before arming, and the look follows: what this swallows is found there.
  if (may_be_signalled_) slow_->wake->drain();
  arm();
  // `Doorbell::sleep` bounds its sleeps then. It cannot bound an event loop's.
  if (os::is_light_fence_broken()) return fail(ErrorCode::os_error, kFenceForbidden);
  note_armed();
  return {};
}

bool ChannelCore::is_still_armed() const noexcept {
  return is_loop_armed_ && in_data_.bell().is_still_armed(kLoop);
}

// A ringer clears the bell first and signals later: its signal may come when the bell is armed
// anew, and wakes the loop for nothing, again and again. So now and then the bell counts as not
// armed.
bool ChannelCore::is_armed_too_long() noexcept {
  if (++needless_arms_ < kMostNeedlessArms) return false;
  needless_arms_ = 0;
  may_be_signalled_ = true;
  return true;
}

void ChannelCore::note_armed() {
  is_loop_armed_ = true;
  is_receive_plain_ = false;
  may_be_signalled_ = true;
  if (auto* timer = context_->look_timer()) {
    // [P1] seq_cst: before `start` asks whether the timer runs [L1]; partner [P2].
    loop_position_.store(consumer_.position(), std::memory_order_seq_cst);
    timer->start();
  }
}

// The loop is awake, because it receives.
void ChannelCore::disarm_loop() noexcept {
  is_loop_armed_ = false;
  is_receive_plain_ = !receive_failed_;
  if (in_data_.bell().disarm(kLoop)) may_be_signalled_ = false;
  // Relaxed: at worst the loop is signalled once too often.
  loop_position_.store(kNoLoop, std::memory_order_relaxed);
}

bool ChannelCore::look_for_loop() noexcept {
  // [P2] seq_cst: after the timer has come to rest [L2]; partner [P1].
  auto position = loop_position_.load(std::memory_order_seq_cst);
  if (position == kNoLoop) return false;
  if (!consumer_.is_published(position)) return true;
  // Relaxed: the event wakes the loop, not this word. ABA: harmless. Positions only grow, and a
  // loop that is armed again at the same position waits for the same record.
  if (loop_position_.compare_exchange_strong(position, kNoLoop, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
    slow_->wake->signal_own();
  }
  return false;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
