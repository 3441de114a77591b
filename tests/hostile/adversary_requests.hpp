// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
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
  struct Plan {
    std::uint64_t salt;
    std::uint64_t first;            ///< number of the first, so that an older answer is known
    std::chrono::seconds deadline;  ///< of each call
  };
  Requests(mews::Channel& channel, TimedCalls& calls, const Plan& plan)
      : channel_(channel), calls_(calls), plan_(plan), random_(plan.salt), number_(plan.first) {}

  /// What goes wrong with some of them, or nothing.
  [[nodiscard]] std::string ask_some() {
    WorkResult result;
    for (int i = 0; i < 20 && result.harm() == Harm::none; ++i)
      ask(result);
    return result.has_wrong_bytes ? "wrong bytes" : result.first_error;
  }

  /// One more, and its answer. False when no more can follow.
  bool ask(WorkResult& result) {
    const auto deadline = plan_.deadline;
    const auto number = number_++;
    const auto wanted = static_cast<std::uint32_t>(work_size(random_));
    const auto bytes = work_size(random_);
    auto loan = calls_.call("loan", deadline, [&] { return channel_.loan(bytes, deadline); });
    if (!loan) return note(result, loan.error());
    fill(loan->bytes(), request_key(plan_.salt, number));
    const auto sent = calls_.call("send", deadline, [&] {
      return channel_.send(std::move(*loan), {.type = wanted, .correlation = number}, deadline);
    });
    if (!sent) return note(result, sent.error());
    return take_answer(result, number, wanted);
  }

 private:
  bool take_answer(WorkResult& result, std::uint64_t number, std::uint32_t wanted) {
    // Behind answers that came too late for their own requests, as many as there can be.
    for (int looks = 0; looks < 100; ++looks) {
      const auto answer =
          calls_.call("receive", plan_.deadline, [&] { return channel_.receive(plan_.deadline); });
      if (!answer) return note(result, answer.error());
      if (answer->correlation() < number) continue;
      if (answer->correlation() == number && answer->type() == wanted && answer->size() == wanted &&
          is_filled(answer->bytes(), request_key(plan_.salt, number) + 1)) {
        return true;
      }
      break;
    }
    result.has_wrong_bytes = true;
    return false;
  }
  static bool note(WorkResult& result, const mews::Error& error) {
    if (result.first_error.empty()) result.first_error = error.message();
    if (error.code() == mews::ErrorCode::timed_out) return ++result.timeouts < 3;
    result.is_cut_off = true;
    return false;
  }

  mews::Channel& channel_;
  TimedCalls& calls_;
  Plan plan_;
  mews_test::Random random_;
  std::uint64_t number_;
};

}  // namespace hostile_test
