// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <utility>

#include "link_core.hpp"
#include "texts.hpp"

// The end of a link: of all its calls and streams, once.
namespace mews::inline MEWS_LAYOUT::detail {

void LinkCore::end(Error why) {
  {
    const std::lock_guard lock(mutex_);
    if (end_) return;
    const auto code = static_cast<int>(why.code());
    end_ = std::move(why);
    // [K7] seq_cst: before the slots are looked at; partner [K8].
    ended_.store(code, std::memory_order_seq_cst);
  }
  for (std::uint32_t slot = 0; slot < credits_; ++slot)
    end_call(slot);
  for (std::uint32_t slot = 0; slot < limits_.calls; ++slot) {
    auto& call = incoming_[slot];
    note_stop(call);
    if (const auto stream = stream_of(call)) end_stream(stream, end_->code(), end_->detail());
  }
  // seq_cst: after the functions of all calls are due; partner: `dispatch`.
  is_end_whole_.store(true, std::memory_order_seq_cst);
  lead_.tell_all();
  signal_waiting_loop();
}

// After the end nothing is taken in any more: only here outcomes are written, with the mutex.
void LinkCore::end_call(std::uint32_t slot) {
  auto& call = outgoing_[slot];
  if (const auto stream = stream_of(call)) end_stream(stream, end_->code(), end_->detail());
  bool is_settled = false;
  // Acquire: the owner is done with the last outcome. seq_cst: after [K7]; partner [K8].
  const auto word = Word::unpack(call.word.load(std::memory_order_seq_cst));
  if (word.state == State::open) {
    const std::lock_guard lock(mutex_);
    // Relaxed: what another thread settled, it settled with the mutex.
    if (call.word.load(std::memory_order_relaxed) != word.pack()) return;
    call.error = call_error(slot, end_->code(), end_->detail());
    is_settled = move(call, word, State::settled);
    if (!is_settled) call.error.reset();
  }
  if (is_settled) return tell_owner(call);
  let_go(slot, word.generation);
}

void LinkCore::cut_off(std::string what) {
  auto how = detail_text([&] {
    return fmt::format("{}: {}", channel_->session().peer_name(channel_->other()), what);
  });
  // So that sending fails from now on.
  channel_->end(ErrorCode::peer_corrupt, detail_text([&] { return how; }));
  end(Error(ErrorCode::peer_corrupt, std::move(how)));
}

Error LinkCore::end_error() const noexcept {
  const std::lock_guard lock(mutex_);
  return Error(end_->code(), detail_text([this] { return end_->detail(); }));
}

}  // namespace mews::inline MEWS_LAYOUT::detail
