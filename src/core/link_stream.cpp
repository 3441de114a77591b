// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

#include "link_core.hpp"
#include "link_wait.hpp"
#include "texts.hpp"

// Streams, as their owners see them: opened, accepted, pieces out and in, the end.
//
// What belongs to a stream is sent with its mutex held, so that nothing of it follows its end. No
// send waits, and whoever sends takes no stream's mutex.
namespace mews::inline MEWS_LAYOUT::detail {

using layout::RecordKind;

namespace {

[[nodiscard]] std::uint64_t size_of(const Body& body) noexcept {
  return body.loan() != nullptr ? body.loan()->size() : body.bytes().size();
}

}  // namespace

Result<std::shared_ptr<StreamEnd>> LinkCore::open(const Body& body, const CallOptions& options,
                                                  const Until& until, MayWait may_wait) {
  if (limits_.streams == 0) {
    return fail(ErrorCode::invalid_argument,
                "these rings are too small for streams, which need 256 cells: see CreateOptions");
  }
  auto end = std::make_shared<StreamEnd>(true, options.type, stream_window_);
  const CallOptions alone{.type = options.type};
  const auto slot = start(body, alone, until, may_wait, end);
  if (!slot) return tl::unexpected(std::move(slot.error()));
  return end;
}

Result<std::shared_ptr<StreamEnd>> LinkCore::accept_stream(std::uint32_t slot,
                                                           std::uint32_t type) try {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  auto& call = incoming_[slot];
  // Relaxed: the callee's.
  const auto word = Word::unpack(call.word.load(std::memory_order_relaxed));
  auto end = std::make_shared<StreamEnd>(false, type, stream_window_);
  end->id = {.slot = slot, .generation = word.generation, .is_readers = true};
  (void)end->take_accept(layout::unpack_window(call.deadline));
  auto id = end->id;
  id.is_readers = false;
  id.detail = layout::pack_window(stream_window_);
  {
    const std::lock_guard lock(mutex_);
    // Relaxed, here: mutex.
    if (call.is_stream_finished) (void)end->take_finish();
    call.stream = end;
  }
  if (auto sent = send(RecordKind::accept, Body(), id, 0); !sent) {
    const std::lock_guard lock(mutex_);
    call.stream.reset();
    return tl::unexpected(std::move(sent.error()));
  }
  // seq_cst, both: after the lead can find it; partners: `take_in_cancel`, and [K7].
  if (ended()) {
    const auto why = end_error();
    end_stream(end, why.code(), why.detail());
  } else if (call.is_cancelled.load(std::memory_order_seq_cst)) {
    end_stream(end, ErrorCode::reset, {});
  }
  return end;
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

void LinkCore::loan_piece(Result<Loan>& out, std::size_t bytes, Timeout timeout) {
  if (bytes <= layout::kStreamInlineBytes) return channel_->loan(out, bytes, timeout);
  channel_->loan_in_slab(out, bytes, timeout);
}

Result<void> LinkCore::wait_stream(StreamEnd& end, const base::LocalAtomic<bool>& word,
                                   Timeout timeout) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  const auto is_told = [&word] { return word.load(std::memory_order_seq_cst); };
  if (!is_told() && !timeout.may_wait()) {
    if (auto looked = look(); !looked) return looked;
    if (!is_told()) return fail(ErrorCode::would_block);
  }
  if (!is_told()) {
    const auto until = this->until(timeout);
    auto waited = wait({.key = &end, .is_open = true}, {}, until, is_told);
    if (!waited) {
      const auto what = detail_text([&]() -> std::string {
        const std::lock_guard lock(end.mutex);
        if (!end.is_accepted.load(std::memory_order_relaxed)) return "not accepted yet";
        if (&word == &end.is_readable) return "nothing came";
        if (&word == &end.is_over) return "not finished by both ends";
        return fmt::format("{} pieces, {} not received there", end.sent_count,
                           size_text(end.sent_bytes));
      });
      const auto absence = channel_->session().absence_text(channel_->other());
      return tl::unexpected(stream_error(end, waited.error().code(), what + absence));
    }
  }
  return {};
}

Result<void> LinkCore::send_piece(StreamEnd& end, const Body& piece, Timeout timeout) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  if (piece.loan() != nullptr) {
    if (auto checked = channel_->check(*piece.loan()); !checked) return checked;
  }
  const auto bytes = size_of(piece);
  // One deadline for all waits.
  if (timeout.may_wait()) timeout = Timeout::of(until(timeout));
  // A piece has one cell: more than fits it is in a slab.
  const bool needs_slab = bytes > layout::kStreamInlineBytes &&
                          (piece.loan() == nullptr || !ChannelCore::is_in_slab(*piece.loan()));
  Loan copy;
  for (;;) {
    if (auto waited = wait_stream(end, end.is_writable, timeout); !waited) return waited;
    if (needs_slab && !copy.is_valid()) {
      Result<Loan> loan;
      loan_piece(loan, bytes, timeout);
      if (!loan) return tl::unexpected(std::move(loan.error()));
      const auto from =
          piece.loan() != nullptr ? std::as_const(*piece.loan()).bytes() : piece.bytes();
      std::copy(from.begin(), from.end(), loan->bytes().begin());
      copy = std::move(*loan);
    }
    const std::lock_guard lock(end.mutex);
    if (end.error) return tl::unexpected(*end.error);
    if (end.has_finished) {
      return fail(ErrorCode::invalid_argument, "this end of the stream has finished");
    }
    if (bytes == 0) return {};
    if (!end.may_send()) continue;
    auto sent = send(RecordKind::data, copy.is_valid() ? Body(std::move(copy)) : piece, end.id, 0);
    if (!sent) return sent;
    end.note_sent(bytes);
    break;
  }
  if (piece.loan() != nullptr) *piece.loan() = Loan();
  return {};
}

Result<void> LinkCore::finish(StreamEnd& end) {
  if (!is_own()) return fail(ErrorCode::wrong_process);
  {
    const std::lock_guard lock(end.mutex);
    if (end.has_finished) return {};
    if (end.error) return tl::unexpected(*end.error);
    if (auto sent = send(RecordKind::finish, Body(), end.id, 0); !sent) return sent;
    end.has_finished = true;
    end.tell();
  }
  tell(&end);
  tell_watches(end);
  return {};
}

Result<Message> LinkCore::receive_piece(StreamEnd& end, Timeout timeout) {
  // Fixed before the first wait: another thread may receive what ends it.
  if (timeout.may_wait() && !end.is_readable.load(std::memory_order_seq_cst)) {
    timeout = Timeout::of(until(timeout));
  }
  for (;;) {
    if (auto waited = wait_stream(end, end.is_readable, timeout); !waited) {
      return tl::unexpected(std::move(waited.error()));
    }
    const std::lock_guard lock(end.mutex);
    if (end.pieces_count > 0) {
      auto piece = end.pop();
      if (const auto count = end.take_confirmed(); count > 0) {
        auto id = end.id;
        id.detail = count;
        // Where it cannot be sent, the link is at its end, which the next call tells.
        (void)send(RecordKind::window, Body(), id, 0);
      }
      return piece;
    }
    if (end.have_they_finished) return Message();
    if (end.error) return tl::unexpected(*end.error);
  }
}

void LinkCore::reset(StreamEnd& end, ErrorCode code) noexcept {
  if (!is_own()) return;
  {
    const std::lock_guard lock(end.mutex);
    if (end.is_left || end.error || end.have_both_finished()) return;
    // The code of number 0 says "none" on its way.
    if (code == ErrorCode::would_block) code = ErrorCode::reset;
    end.is_left = true;
    end.take_end(stream_error(end, code, "reset by this end"));
    end.drop_pieces();
    const auto detail = static_cast<std::uint32_t>(code);
    if (end.is_opener) {
      if (!give_up(end.id.slot, detail)) (void)collect(end.id.slot);
    } else {
      (void)fail_call(end.id.slot, code, {});
    }
  }
  tell(&end);
  tell_watches(end);
}

void LinkCore::drop(StreamEnd& end) noexcept {
  // In a forked child a mutex may never be free.
  if (!is_own()) return;
  for (auto* const watch : {&end.on_readable, &end.on_writable, &end.on_over})
    forget_ready(watch, watch->done, watch->is_set);
  reset(end, ErrorCode::reset);
  const std::lock_guard lock(end.mutex);
  end.drop_pieces();
  if (std::exchange(end.is_left, true)) return;
  if (!end.is_opener) {
    if (end.error) {
      (void)fail_call(end.id.slot, ErrorCode::reset, {});
    } else {
      (void)reply(end.id.slot, Body(), 0, forever);
    }
  } else if (!give_up(end.id.slot, std::nullopt)) {
    (void)collect(end.id.slot);
  }
}

bool LinkCore::watch(StreamEnd::Watch& watch, const base::LocalAtomic<bool>& word,
                     std::function<void()> done) {
  if (!is_own()) return false;
  forget_ready(&watch, watch.done, watch.is_set);
  // What is dropped may be a stream: not with the mutex held.
  const std::lock_guard lock(mutex_);
  if (word.load(std::memory_order_seq_cst)) return false;
  done.swap(watch.done);
  // seq_cst: before the second look; who writes the word asks afterwards. One of the two sees the
  // other's.
  watch.is_set.store(true, std::memory_order_seq_cst);
  if (!word.load(std::memory_order_seq_cst)) return true;
  done.swap(watch.done);
  watch.is_set.store(false, std::memory_order_relaxed);
  return false;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
