// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "link_core.hpp"
#include "texts.hpp"

// What a link says of its calls: which, to whom, since when, taken or not.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             Deadline::Clock::now().time_since_epoch())
      .count();
}

std::string age_text(std::int64_t since_ns, std::int64_t now) {
  return duration_text(std::chrono::nanoseconds(std::max<std::int64_t>(now - since_ns, 0)));
}

}  // namespace

std::optional<std::chrono::nanoseconds> LinkCore::taken_for(std::uint32_t slot,
                                                            std::int64_t now) const noexcept {
  // Relaxed, both: for a text; and after a death nothing more is on its way.
  const auto generation =
      Word::unpack(outgoing_[slot].word.load(std::memory_order_relaxed)).generation;
  const auto taken = channel_->taken_there().words[slot].load(std::memory_order_relaxed);
  if (!layout::is_taken(taken, generation)) return std::nullopt;
  return std::chrono::nanoseconds(std::max<std::int64_t>(layout::taken_for(taken, now), 0));
}

std::string LinkCore::call_name(std::uint32_t type) const {
  const auto found = std::find_if(types_.begin(), types_.end(),
                                  [type](const TypeName& row) { return row.type == type; });
  return found != types_.end() ? found->name : fmt::format("type {}", type);
}

// "fonts: decompress: no answer for 5.0 s, taken 4.7 s ago"
Error LinkCore::call_error(std::uint32_t slot, ErrorCode code, const std::string& what) const {
  const auto now = now_ns();
  const auto taken = taken_for(slot, now);
  auto text = detail_text([&] {
    const auto& call = outgoing_[slot];
    const auto peer = channel_->session().peer_name(channel_->other());
    auto sentence =
        fmt::format("{}: {}", peer, call_name(call.type.load(std::memory_order_relaxed)));
    if (code == ErrorCode::timed_out || code == ErrorCode::cancelled) {
      sentence += fmt::format(": no answer for {}",
                              age_text(call.began_ns.load(std::memory_order_relaxed), now));
    }
    sentence += taken ? fmt::format(", taken {} ago", duration_text(*taken)) : ", not taken";
    if (!taken) sentence += channel_->session().absence_text(channel_->other());
    if (!what.empty()) sentence += ": " + what;
    return sentence;
  });
  Error error(code, std::move(text));
  error.set_started(taken.has_value());
  return error;
}

// "fonts: 16 of 16 calls open, the oldest decompress for 4.8 s, taken 4.7 s ago"
std::string LinkCore::open_calls_text(bool is_stream) const {
  const auto now = now_ns();
  std::optional<std::uint32_t> oldest;
  std::int64_t began = 0;
  std::uint32_t answered = 0;
  for (std::uint32_t slot = 0; slot < credits_; ++slot) {
    const auto& call = outgoing_[slot];
    // Relaxed: for a text.
    const auto state = Word::unpack(call.word.load(std::memory_order_relaxed)).state;
    if (state == State::free) continue;
    if (state == State::settled) ++answered;
    const auto since = call.began_ns.load(std::memory_order_relaxed);
    if (oldest && since >= began) continue;
    oldest = slot;
    began = since;
  }
  auto text = fmt::format("{}: {} of {} calls open",
                          channel_->session().peer_name(channel_->other()), open_calls(), credits_);
  // Relaxed: for a text.
  if (is_stream && streams_free_.load(std::memory_order_relaxed) == 0) {
    text +=
        fmt::format(", {} of them streams, which is the most", std::min(limits_.streams, credits_));
  }
  if (answered > 0) text += fmt::format(", {} of them answered and not collected", answered);
  if (!oldest) return text;
  const auto& call = outgoing_[*oldest];
  text += fmt::format(", the oldest {} for {}",
                      call_name(call.type.load(std::memory_order_relaxed)), age_text(began, now));
  const auto taken = taken_for(*oldest, now);
  return text + (taken ? fmt::format(", taken {} ago", duration_text(*taken)) : ", not taken");
}

}  // namespace mews::inline MEWS_LAYOUT::detail
