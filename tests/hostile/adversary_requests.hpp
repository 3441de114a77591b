// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "adversary_regions.hpp"
#include "adversary_watch.hpp"
#include "adversary_work.hpp"

/// The host's side of the work with an honest plugin.
namespace hostile_test {

/// What became of the work with one plugin.
struct WorkResult {
  std::uint64_t answers = 0;
  std::uint64_t timeouts = 0;
  bool is_cut_off = false;
  bool has_wrong_bytes = false;
  std::string first_error;

  [[nodiscard]] Harm harm() const noexcept {
    if (has_wrong_bytes) return Harm::wrong_bytes;
    if (is_cut_off) return Harm::cut_off;
    return timeouts > 0 ? Harm::slow : Harm::none;
  }
};

/// The requests of a host to one worker.
class Requests {
 public:
  /// Numbered from `first` on, so that an answer to an older one is known.
  Requests(mews::Channel& channel, TimedCalls& calls, std::uint64_t salt, std::uint64_t first)
      : channel_(channel), calls_(calls), salt_(salt), random_(salt), number_(first) {}

  /// What goes wrong with some of them, or nothing.
  [[nodiscard]] std::string ask_some() {
    for (int i = 0; i < 20; ++i) {
      WorkResult result;
      if (!ask(result)) return result.has_wrong_bytes ? "wrong bytes" : result.first_error;
    }
    return {};
  }

  /// One more, and its answer. False when no more can follow.
  bool ask(WorkResult& result) {
    const auto number = number_++;
    const auto wanted = static_cast<std::uint32_t>(work_size(random_));
    auto loan = calls_.call("loan", kWorkDeadline,
                            [&] { return channel_.loan(work_size(random_), kWorkDeadline); });
    if (!loan) return note(result, loan.error());
    fill(loan->bytes(), request_key(salt_, number));
    const auto sent = calls_.call("send", kWorkDeadline, [&] {
      return channel_.send(std::move(*loan), {.type = wanted, .correlation = number},
                           kWorkDeadline);
    });
    if (!sent) return note(result, sent.error());
    return take_answer(result, number, wanted);
  }

 private:
  bool take_answer(WorkResult& result, std::uint64_t number, std::uint32_t wanted) {
    for (;;) {
      const auto answer =
          calls_.call("receive", kWorkDeadline, [&] { return channel_.receive(kWorkDeadline); });
      if (!answer) return note(result, answer.error());
      // One that came too late for its own request.
      if (answer->correlation() < number) continue;
      const bool is_right = answer->correlation() == number && answer->type() == wanted &&
                            answer->size() == wanted &&
                            is_filled(answer->bytes(), request_key(salt_, number) + 1);
      ++result.answers;
      if (is_right) return true;
      result.has_wrong_bytes = true;
      return false;
    }
  }
  static bool note(WorkResult& result, const mews::Error& error) {
    if (result.first_error.empty()) result.first_error = error.message();
    if (error.code() == mews::ErrorCode::timed_out) return ++result.timeouts < 3;
    result.is_cut_off = true;
    return false;
  }

  mews::Channel& channel_;
  TimedCalls& calls_;
  std::uint64_t salt_;
  mews_test::Random random_;
  std::uint64_t number_;
};

}  // namespace hostile_test
