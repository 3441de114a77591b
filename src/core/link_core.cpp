// SPDX-License-Identifier: MIT
#include "link_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "link_wait.hpp"
#include "mews/os/membarrier.hpp"
#include "texts.hpp"

// Taking in: the lead receives a record, checks it against the tables, and tells whom it concerns.
namespace mews::inline MEWS_LAYOUT::detail {

using layout::CallId;
using layout::RecordKind;

namespace {

/// Records that one `dispatch` takes in: others want their turn.
constexpr int kMostAtOnce = 256;

std::uint64_t bits(std::uint32_t count) noexcept {
  return count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

bool is_at_its_end(StreamEnd& stream) noexcept {
  const std::lock_guard lock(stream.mutex);
  return stream.error || stream.have_both_finished();
}

bool is_code(std::uint32_t code) noexcept {
  return code <= static_cast<std::uint32_t>(ErrorCode::os_error);
}

}  // namespace

LinkCore::LinkCore(std::shared_ptr<ChannelCore> channel, LinkOptions options,
                   layout::LinkLimits limits)
    : channel_(std::move(channel)),
      types_(std::move(options.types)),
      credits_(std::min(options.credits, limits.calls)),
      limits_(limits),
      stream_window_(layout::unpack_window(layout::pack_window(options.stream_window))),
      free_(bits(credits_)),
      streams_free_(std::min(limits.streams, credits_)),
      outgoing_(std::make_unique<Outgoing[]>(credits_)),
      incoming_(std::make_unique<Incoming[]>(limits.calls)) {
  static_assert(sizeof(LinkCore) + 16 * (sizeof(Outgoing) + sizeof(Ready)) +
                        16 * 3 * sizeof(Ready) +
                        16 * (sizeof(Incoming) + 2 * sizeof(std::stop_source)) +
                        kMostAtOnce * sizeof(std::stop_source) <
                    16 * 1024,
                "a link with the default options takes less than 16 KiB, and its streams aside");
  // One for each call, three for each stream of either end.
  ready_.reserve(credits_ + 3 * 2 * limits.streams);
  // One for each call, when it is cancelled and at the end; and those of one `look`.
  stops_due_.reserve(2 * limits.calls + kMostAtOnce);
}

LinkCore::~LinkCore() = default;

Result<void> LinkCore::draw(const Until* until, const Own& own) {
  if (ended()) return tl::unexpected(end_error());
  ChannelCore::Record record;
  auto received = channel_->receive_record(record, until);
  if (received) {
    take_in(record, own);
    return {};
  }
  switch (received.error().code()) {
    case ErrorCode::peer_died:
    case ErrorCode::host_died:
    case ErrorCode::closed:
    case ErrorCode::peer_corrupt:
      end(std::move(received.error()));
      return {};
    case ErrorCode::concurrent_use:
      if (os::is_light_fence_broken()) return fail(ErrorCode::os_error, kFenceForbidden);
      return received;
    default:
      return received;
  }
}

void LinkCore::take_in(ChannelCore::Record& record, const Own& own) {
  const auto id = CallId::unpack(record.message.correlation());
  switch (record.kind) {
    case RecordKind::request:
    case RecordKind::open:
      return take_in_request(record, id, own);
    case RecordKind::lend:
      return take_in_lend(record.message, id);
    case RecordKind::reply:
    case RecordKind::failure:
      return take_in_answer(record, id, own);
    case RecordKind::cancel:
      return take_in_cancel(id);
    case RecordKind::accept:
    case RecordKind::data:
    case RecordKind::finish:
    case RecordKind::window:
      return take_in_stream(record, id);
    case RecordKind::message:
    case RecordKind::filler:
    case RecordKind::close:
      break;  // `ChannelCore` returns none of them
  }
}

// Whether a correct link may begin this call now. Otherwise it is cut off.
bool LinkCore::may_begin(const CallId& id) {
  if (id.slot >= limits_.calls) {
    cut_off(detail_text(
        [&] { return fmt::format("a request in slot {} of {}", id.slot, limits_.calls); }));
    return false;
  }
  // [K6] acquire: the last request of the slot was dealt with; partner [K5].
  const auto word = Word::unpack(incoming_[id.slot].word.load(std::memory_order_acquire));
  if (word.state != State::free) {
    cut_off(detail_text(
        [&] { return fmt::format("a request in slot {}, whose last one is open", id.slot); }));
    return false;
  }
  if (id.generation != CallId::after(word.generation)) {
    cut_off(detail_text([&] {
      return fmt::format("request {} of slot {} after {}", id.generation, id.slot, word.generation);
    }));
    return false;
  }
  return true;
}

void LinkCore::take_in_lend(Message& message, const CallId& id) {
  if (!may_begin(id)) return;
  auto& lent = incoming_[id.slot].lent;
  if (lent.size() > 0) {
    return cut_off(detail_text(
        [&] { return fmt::format("two slabs lent for the reply in slot {}", id.slot); }));
  }
  lent = std::move(message);
}

void LinkCore::take_in_request(ChannelCore::Record& record, const CallId& id, const Own& own) {
  if (!may_begin(id)) return;
  auto& call = incoming_[id.slot];
  const bool is_stream = record.kind == RecordKind::open;
  // Relaxed: the answer to the last stream, which makes it less, comes before the next one.
  if (is_stream && streams_there_.fetch_add(1, std::memory_order_relaxed) >= limits_.streams) {
    return cut_off(
        detail_text([&] { return fmt::format("a stream more than {}", limits_.streams); }));
  }
  call.deadline = id.detail;
  call.message = std::move(record.message);
  call.is_stream = is_stream;
  // Relaxed, both: given to the callee with the queue.
  call.is_cancelled.store(false, std::memory_order_relaxed);
  call.word.store(Word{id.generation, State::open}.pack(), std::memory_order_relaxed);
  // Relaxed: only the lead makes it more; earlier requests come first.
  if (own.request != nullptr && !*own.request && queued_.load(std::memory_order_relaxed) == 0) {
    *own.request = id.slot;
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    const auto count = queued_.load(std::memory_order_relaxed);
    queue_[(queue_begin_ + count) % queue_.size()] = static_cast<std::uint8_t>(id.slot);
    // seq_cst: before the look for waiters, see `Lead`.
    queued_.store(count + 1, std::memory_order_seq_cst);
  }
  (void)lead_.tell(&queue_);
  signal_waiting_loop();
}

void LinkCore::take_in_answer(ChannelCore::Record& record, const CallId& id, const Own& own) {
  if (id.slot >= credits_) {
    return cut_off(
        detail_text([&] { return fmt::format("an answer for slot {} of {}", id.slot, credits_); }));
  }
  auto& call = outgoing_[id.slot];
  // Acquire: the owner is done with the last outcome. It may leave meanwhile.
  const auto word = Word::unpack(call.word.load(std::memory_order_acquire));
  if (id.generation != word.generation || word.state == State::free ||
      word.state == State::settled) {
    return cut_off(detail_text([&] {
      return fmt::format("answer {} for slot {}, where it is not awaited", id.generation, id.slot);
    }));
  }
  if (record.message.size() > layout::kMaxInlineBytes && record.kind == RecordKind::failure) {
    return cut_off(detail_text(
        [&] { return fmt::format("a failure with a text of {} bytes", record.message.size()); }));
  }
  if (record.kind == RecordKind::failure && !is_code(id.detail)) {
    return cut_off(
        detail_text([&] { return fmt::format("a failure with the code {}", id.detail); }));
  }
  // Relaxed: the owner's, before `open`.
  const auto stream = call.is_stream.load(std::memory_order_relaxed) ? stream_of(call) : nullptr;
  if (stream) {
    if (record.kind == RecordKind::failure) {
      end_stream(stream, static_cast<ErrorCode>(id.detail),
                 detail_text([&] { return one_line(std::string(record.message.text())); }));
    } else if (word.state == State::open && !is_at_its_end(*stream)) {
      return cut_off(detail_text(
          [&] { return fmt::format("a stream in slot {} answered before its end", id.slot); }));
    }
  }
  if (word.state == State::open) {
    if (record.kind == RecordKind::reply) {
      call.reply = std::move(record.message);
    } else {
      call.error = call_error(id.slot, static_cast<ErrorCode>(id.detail), detail_text([&] {
                                // A copy: in a slab, it could change meanwhile.
                                return one_line(std::string(record.message.text()));
                              }));
    }
    if (own.call == &call) {
      // The lead's own, which nobody else can end. Relaxed: it is read by this thread.
      call.word.store(Word{word.generation, State::settled}.pack(), std::memory_order_relaxed);
      // Relaxed: this thread's. It may wait for the answer, and leave it to `done`.
      if (call.has_done.load(std::memory_order_relaxed)) tell_owner(call);
      return;
    }
    if (move(call, word, State::settled)) return tell_owner(call);
    call.reply = Message();
    call.error.reset();
  }
  let_go(id.slot, word.generation);
}

// [K1] release: what this thread did with the slot, an outcome, say; [K2] acquire: what the other
// did. seq_cst: before the look for waiters, see `Lead`, or at the end, [K8]. ABA: only the owner
// opens a slot, once the last call is over.
bool LinkCore::move(Outgoing& call, Word from, State to) noexcept {
  auto seen = from.pack();
  return call.word.compare_exchange_strong(seen, Word{from.generation, to}.pack(),
                                           std::memory_order_seq_cst, std::memory_order_acquire);
}

// Of a call that was given up the answer has come, or will not come: the slot is the owner's until
// it has sent the cancel, or free.
void LinkCore::let_go(std::uint32_t slot, std::uint32_t generation) {
  auto& call = outgoing_[slot];
  if (move(call, {generation, State::leaving}, State::settled)) return;
  if (move(call, {generation, State::gone}, State::free)) give_slot(slot);
}

void LinkCore::tell_owner(Outgoing& call) {
  (void)lead_.tell(&call);
  // seq_cst: after it was settled; partner: `on_ready`.
  if (!call.has_done.load(std::memory_order_seq_cst)) return;
  {
    const std::lock_guard lock(mutex_);
    // The owner may have collected the outcome meanwhile, and have begun the slot's next call.
    const auto state = Word::unpack(call.word.load(std::memory_order_seq_cst)).state;
    if (state == State::settled) queue_ready(&call, call.done);
  }
  signal_loop();
}

// Mutex held.
void LinkCore::queue_ready(const void* key, std::function<void()>& done) {
  if (!done) return;
  ready_.push_back({key, std::move(done)});
  done = nullptr;
  has_ready_.store(true, std::memory_order_relaxed);
}

void LinkCore::take_in_cancel(const CallId& id) {
  if (id.slot >= limits_.calls) {
    return cut_off(detail_text(
        [&] { return fmt::format("a cancel for slot {} of {}", id.slot, limits_.calls); }));
  }
  auto& call = incoming_[id.slot];
  // Relaxed: nothing of the callee's is read.
  const auto word = Word::unpack(call.word.load(std::memory_order_relaxed));
  if (id.generation != word.generation) {
    return cut_off(detail_text([&] {
      return fmt::format("a cancel of call {} of slot {}, where the last is {}", id.generation,
                         id.slot, word.generation);
    }));
  }
  // seq_cst: before the look at `stops`; partner: `stop_token`.
  if (call.is_cancelled.exchange(true, std::memory_order_seq_cst)) {
    return cut_off(detail_text([&] {
      return fmt::format("a second cancel of call {} of slot {}", id.generation, id.slot);
    }));
  }
  // Otherwise it was answered meanwhile.
  if (word.state != State::open) return;
  note_stop(call);
  // seq_cst above: before this look; partner: `accept_stream`.
  if (const auto stream = stream_of(call)) {
    end_stream(
        stream,
        is_code(id.detail) && id.detail != 0 ? static_cast<ErrorCode>(id.detail) : ErrorCode::reset,
        {});
  }
}

// The user's callbacks must not run here: they may use the link, and this thread leads.
void LinkCore::note_stop(Incoming& call) {
  const std::lock_guard lock(mutex_);
  if (!call.stops) return;
  stops_due_.push_back(*call.stops);
  has_stops_due_.store(true, std::memory_order_relaxed);
}

// One by one: nothing is allocated, and a callback may do the same.
void LinkCore::run_stops_due() noexcept {
  // Relaxed: whoever sets it looks here afterwards.
  while (has_stops_due_.load(std::memory_order_relaxed)) {
    std::optional<std::stop_source> due;
    {
      const std::lock_guard lock(mutex_);
      if (!stops_due_.empty()) {
        due = std::move(stops_due_.back());
        stops_due_.pop_back();
      }
      has_stops_due_.store(!stops_due_.empty(), std::memory_order_relaxed);
    }
    if (due) due->request_stop();
  }
}

void LinkCore::interrupt() noexcept {
  // Release: what the lead is to see; partner: the exchange in `wait`. Before the bell.
  interrupted_.store(true, std::memory_order_release);
  channel_->interrupt_receiver();
  // That has cleared the bell of a loop, too.
  signal_waiting_loop();
}

void LinkCore::tell(const void* key) {
  if (lead_.tell(key)) interrupt();
}

Result<void> LinkCore::look() {
  if (!lead_.try_take()) return {};
  Result<void> drawn;
  int count = 0;
  {
    const sync::Lead::Leaving leaving(lead_);
    while (count < kMostAtOnce && drawn && !ended()) {
      drawn = draw(nullptr, {});
      if (drawn) ++count;
    }
  }
  // Without a record the bell of a loop is as it was.
  if (count > 0) signal_waiting_loop();
  run_stops_due();
  if (!drawn && drawn.error().code() == ErrorCode::would_block) return {};
  return drawn;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
