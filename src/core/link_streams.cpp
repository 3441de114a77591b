// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <mutex>
#include <utility>

#include "link_core.hpp"
#include "texts.hpp"

// Streams, as the lead sees them: what comes, and whom it concerns.
namespace mews::inline MEWS_LAYOUT::detail {

using layout::CallId;
using layout::RecordKind;

std::shared_ptr<StreamEnd> LinkCore::stream_of(const Outgoing& call) const {
  const std::lock_guard lock(mutex_);
  return call.stream;
}
std::shared_ptr<StreamEnd> LinkCore::stream_of(const Incoming& call) const {
  const std::lock_guard lock(mutex_);
  return call.stream;
}

bool LinkCore::take_stream_place() noexcept {
  // seq_cst: a waiter's look, see `Lead`. ABA: a place is a place.
  auto seen = streams_free_.load(std::memory_order_seq_cst);
  while (seen != 0) {
    if (streams_free_.compare_exchange_strong(seen, seen - 1, std::memory_order_seq_cst,
                                              std::memory_order_seq_cst)) {
      return true;
    }
  }
  return false;
}
void LinkCore::give_stream_place() noexcept {
  // seq_cst: before the look for waiters, which the caller makes.
  streams_free_.fetch_add(1, std::memory_order_seq_cst);
}

void LinkCore::take_in_stream(ChannelCore::Record& record, const CallId& id) {
  const auto wrong = [&](const char* what) {
    cut_off(detail_text(
        [&] { return fmt::format("{}: stream {} of slot {}", what, id.generation, id.slot); }));
  };
  std::shared_ptr<StreamEnd> end;
  if (id.is_readers || record.kind == RecordKind::accept) {
    if (id.slot >= credits_) return wrong("a stream past the table");
    auto& call = outgoing_[id.slot];
    // Acquire: what the owner wrote before it opened the slot.
    const auto word = Word::unpack(call.word.load(std::memory_order_acquire));
    // Before its answer, which is the last, the slot cannot be free.
    if (word.generation == id.generation && word.state != State::free) end = stream_of(call);
    if (!end) return wrong("a record of a stream that is not open");
  } else {
    if (id.slot >= limits_.calls) return wrong("a stream past the table");
    auto& call = incoming_[id.slot];
    // Acquire: the callee is done with the slot, if it is free; partner [K5].
    const auto word = Word::unpack(call.word.load(std::memory_order_acquire));
    if (word.generation != id.generation || !call.is_stream) {
      return wrong("a record of a stream that is not open");
    }
    const std::lock_guard lock(mutex_);
    // Relaxed: mutex. It has crossed the answer.
    if (Word::unpack(call.word.load(std::memory_order_relaxed)).state == State::free) return;
    end = call.stream;
    if (!end && record.kind == RecordKind::finish && !call.is_stream_finished) {
      call.is_stream_finished = true;
      return;
    }
  }
  if (!end) return wrong("data of a stream before it was accepted");
  const char* what = nullptr;
  {
    const std::lock_guard lock(end->mutex);
    what = take_into(*end, record, id);
  }
  if (what != nullptr) return wrong(what);
  tell_stream(*end);
}

// The stream's mutex held. Returns what is wrong with it, if anything.
const char* LinkCore::take_into(StreamEnd& end, ChannelCore::Record& record, const CallId& id) {
  switch (record.kind) {
    case RecordKind::accept:
      return end.take_accept(layout::unpack_window(id.detail));
    case RecordKind::data:
      return end.take_data(std::move(record.message));
    case RecordKind::finish:
      return end.take_finish();
    default:
      return end.take_window(id.detail);
  }
}

void LinkCore::end_stream(const std::shared_ptr<StreamEnd>& end, ErrorCode code,
                          const std::string& what) {
  {
    const std::lock_guard lock(end->mutex);
    end->take_end(stream_error(*end, code, what));
  }
  tell_stream(*end);
}

void LinkCore::tell_stream(StreamEnd& end) {
  // The lead looks at its own after each record.
  (void)lead_.tell(&end);
  tell_watches(end);
}

void LinkCore::tell_watches(StreamEnd& end) {
  bool is_due = tell_watch(end.on_readable, end.is_readable);
  is_due |= tell_watch(end.on_writable, end.is_writable);
  is_due |= tell_watch(end.on_over, end.is_over);
  if (is_due) signal_loop();
}

bool LinkCore::tell_watch(StreamEnd::Watch& watch, const base::LocalAtomic<bool>& word) {
  // seq_cst, both: after the word was written; partner: `watch`.
  if (!watch.is_set.load(std::memory_order_seq_cst)) return false;
  if (!word.load(std::memory_order_seq_cst)) return false;
  const std::lock_guard lock(mutex_);
  queue_ready(&watch, watch.done);
  // Relaxed: mutex.
  watch.is_set.store(false, std::memory_order_relaxed);
  return true;
}

// "fonts: stream http: 6 pieces, 384 KiB not received there"
Error LinkCore::stream_error(StreamEnd& end, ErrorCode code, const std::string& what) const {
  Error error(code, detail_text([&] {
                auto text =
                    fmt::format("{}: stream {}", channel_->session().peer_name(channel_->other()),
                                call_name(end.type));
                if (!what.empty()) text += ": " + what;
                return text;
              }));
  // Relaxed: for the reader of the error.
  error.set_started(end.is_accepted.load(std::memory_order_relaxed));
  return error;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
