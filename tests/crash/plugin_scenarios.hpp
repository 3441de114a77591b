// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>

#include <array>
#include <chrono>
#include <string_view>
#include <thread>

#include "crash/actor.hpp"
#include "crash/lending.hpp"
#include "crash/link_scenarios.hpp"
#include "crash/stream_scenarios.hpp"
#include "crash/table.hpp"

/// What a plugin does while it is to be killed. The host's part in each is in partners.cpp under
/// the same name. A host can run most of them too, see host_scenarios.hpp.
namespace mews_test::plugin {

/// Messages of every kind: in the lane, in one slab of each class, in a run.
inline constexpr std::array kSizes{kInline, kSmall, kMiddle,          kHomed,
                                   kLarge,  kRun,   std::size_t{480}, std::size_t{481}};

inline void loan_and_send(Actor& actor) {
  for (const auto size : kSizes)
    actor.send(actor.loan(size));
  // Given back unsent, and sent shorter than it was lent.
  (void)actor.loan(kSmall);
  (void)actor.loan(kRun);
  auto shorter = actor.loan(kRun);
  if (shorter.is_valid()) shorter.shrink(kLarge);
  actor.send(std::move(shorter));
}

inline void receive_and_release(Actor& actor) {
  std::vector<mews::Message> kept;
  while (auto message = actor.receive()) {
    const bool is_last = message->type() == kLast;
    // Some go at once, some in another order.
    if (message->size() != kMiddle && message->size() != kRun) kept.push_back(std::move(*message));
    if (is_last) return;
  }
}

inline void receive_in_batches(Actor& actor) {
  bool is_last = false;
  while (!is_last) {
    const auto visited = actor.channel().receive_batch(
        [&](const mews::MessageView& view) {
          actor.check(view.bytes);
          is_last = is_last || view.envelope.type == kLast;  // others may follow it
        },
        4, mews::forever);
    if (!visited) return complain(actor.log(), "batch: " + visited.error().message());
  }
}

inline void fill_the_ring(Actor& actor) {
  while (actor.try_send(kInline)) {
  }
  for (int i = 0; i < 4; ++i)
    actor.send(kInline);  // the first of these sleeps until there is room
  actor.send(kSmall);
}

/// Far more than the lane holds, in records that do not come out even at its end.
inline void wrap_with_filler(Actor& actor) {
  for (int lap = 0; lap < 6; ++lap) {
    for (const std::size_t size : {std::size_t{480}, std::size_t{200}, std::size_t{440}, kSmall}) {
      actor.send(size);
    }
  }
}

/// All of a class and on into the next larger one.
inline void larger_class(Actor& actor) {
  std::vector<mews::Loan> loans;
  for (;;) {
    auto loan = actor.channel().try_loan(kSmall);
    if (!loan) break;
    loans.push_back(std::move(*loan));
  }
  if (loans.size() < 2) return complain(actor.log(), "there was nothing to lend");
  actor.send(std::move(loans.back()));
  loans.pop_back();
  actor.send(std::move(loans.front()));
}

/// Runs beside slabs that are taken: of a row that turns out to be too short, all goes back.
inline void run_of_slabs(Actor& actor) {
  std::vector<mews::Loan> singles;  // the lowest there are
  for (int i = 0; i < 6; ++i)
    singles.push_back(actor.loan(kLarge));
  for (const int free_again : {4, 3, 2, 0})
    singles.erase(singles.begin() + free_again);
  // One slab below the first that is kept, three between the two: too few for the wide one. Others
  // may have left other rows, so nobody waits here while he holds any.
  std::vector<mews::Loan> runs;
  for (const auto size : {kWideRun, kRun, kWideRun}) {
    if (auto run = actor.channel().try_loan(size)) runs.push_back(std::move(*run));
  }
  while (!runs.empty()) {
    actor.send(std::move(runs.back()));
    runs.pop_back();
  }
  auto shorter = actor.loan(kRun);
  if (shorter.is_valid()) shorter.shrink(kLarge);
  actor.send(std::move(shorter));
}

/// The home chunk is full: an orphaned chunk, a fresh one, somebody else's, and at last the sweep.
inline void home_chunks(Actor& actor) {
  std::vector<mews::Loan> loans;
  for (int round = 0; round < 2; ++round) {
    for (;;) {
      auto loan = actor.channel().try_loan(kHomed);
      if (!loan) break;
      loans.push_back(std::move(*loan));
    }
    if (loans.size() < 3) return complain(actor.log(), "there was nothing to lend");
    if (round == 0) loans.erase(loans.begin() + 1, loans.begin() + 3);
  }
  actor.send(std::move(loans.back()));
  actor.send(std::move(loans.front()));
}

inline void batch(Actor& actor) {
  for (int round = 0; round < 3; ++round) {
    std::vector<mews::Loan> loans;
    for (const auto size : {kSmall, kInline, kLarge, std::size_t{300}, kRun}) {
      loans.push_back(actor.loan(size));
    }
    actor.send_batch(std::move(loans));
    (void)actor.receive();
  }
}

inline void sleep_and_wake(Actor& actor) {
  for (int round = 0; round < 4; ++round) {
    if (!actor.receive()) return;
    actor.send(round % 2 == 0 ? kInline : kSmall);
  }
}

/// Each message goes back as it came, but for its first bytes: nothing is copied.
inline void forward(Actor& actor) {
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    auto message = actor.receive();
    if (!message) return;
    actor.send(std::move(*message).into_loan());
  }
}

inline void event_loop(Actor& actor) {
  for (int round = 0; round < 4; ++round) {
    for (;;) {
      const auto is_armed = actor.channel().arm_event();
      if (!is_armed) return complain(actor.log(), "arm: " + is_armed.error().message());
      if (!*is_armed) break;
      pollfd event{.fd = actor.channel().event_fd(), .events = POLLIN, .revents = 0};
      ::poll(&event, 1, -1);
    }
    if (!actor.receive()) return;
    actor.send(round % 2 == 0 ? kInline : kSmall);
  }
}

/// Takes all there is, and gives it back bit by bit to one who waits for it.
inline void hold_everything(Actor& actor) {
  auto loans = lend_everything(actor.channel());
  actor.send(kInline);
  while (!loans.empty())
    loans.pop_back();
}

/// The host has all there is, and gives it back while we sleep.
inline void wait_for_a_slab(Actor& actor) {
  if (!actor.receive()) return;
  actor.send(actor.loan(kSmall));
  actor.send(actor.loan(kLarge));
  actor.send(actor.loan(kRun));
}

/// Traffic and claims without end, for a plugin that is killed from outside.
inline void traffic(Actor& actor) {
  std::vector<mews::Loan> loans;
  for (std::size_t round = 0;; ++round) {
    auto message = actor.receive();
    if (!message) return;
    if (auto loan = actor.channel().try_loan(kSizes[round % kSizes.size()])) {
      loans.push_back(std::move(*loan));
    }
    if (loans.size() > 2) loans.erase(loans.begin());
    actor.send(std::move(*message).into_loan());
  }
}

/// Some slabs of each class, some on their way, and then it waits for its end.
inline void hold_some(Actor& actor) {
  std::vector<mews::Loan> loans;
  for (const auto size : {kSmall, kSmall, kMiddle, kHomed, kHomed, kHomed, kLarge, kRun}) {
    loans.push_back(actor.loan(size));
  }
  for (const auto size : {kSmall, kRun, kInline})
    actor.send(actor.loan(size));
  (void)actor.receive();
}

inline void nothing(Actor&) {}

/// Until the host has filled the lane that nobody reads, and sleeps for room; mostly.
inline void let_the_lane_fill(Actor&) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

enum class CountFrom : std::uint8_t { attach, work, detach };
struct Scenario {
  std::string_view name;
  CountFrom count_from;
  void (*run)(Actor&);
};

inline constexpr std::array kScenarios{
    Scenario{"attach", CountFrom::attach, nothing},
    Scenario{"detach", CountFrom::detach, nothing},
    Scenario{"detach_from_sender", CountFrom::detach, let_the_lane_fill},
    Scenario{"loan_and_send", CountFrom::work, loan_and_send},
    Scenario{"receive_and_release", CountFrom::work, receive_and_release},
    Scenario{"receive_in_batches", CountFrom::work, receive_in_batches},
    Scenario{"fill_the_ring", CountFrom::work, fill_the_ring},
    Scenario{"wrap_with_filler", CountFrom::work, wrap_with_filler},
    Scenario{"run_of_slabs", CountFrom::work, run_of_slabs},
    Scenario{"larger_class", CountFrom::work, larger_class},
    Scenario{"home_chunks", CountFrom::work, home_chunks},
    Scenario{"home_chunks_without_hints", CountFrom::work, home_chunks},
    Scenario{"batch", CountFrom::work, batch},
    Scenario{"sleep_and_wake", CountFrom::work, sleep_and_wake},
    Scenario{"forward", CountFrom::work, forward},
    Scenario{"event_loop", CountFrom::work, event_loop},
    Scenario{"hold_everything", CountFrom::work, hold_everything},
    Scenario{"wait_for_a_slab", CountFrom::work, wait_for_a_slab},
    Scenario{"traffic", CountFrom::work, traffic},
    Scenario{"hold_some", CountFrom::work, hold_some},
    Scenario{"answer_calls", CountFrom::work, answer_calls},
    Scenario{"make_calls", CountFrom::work, make_calls},
    Scenario{"serve_streams", CountFrom::work, serve_streams},
    Scenario{"open_streams", CountFrom::work, open_streams},
};

}  // namespace mews_test::plugin
