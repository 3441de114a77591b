// SPDX-License-Identifier: MIT
#include "crash/partners.hpp"

#include <array>
#include <utility>

#include "crash/actor.hpp"
#include "crash/lending.hpp"
#include "crash/table.hpp"

namespace mews_test {
namespace {

constexpr std::array kSizes{kInline, kSmall, kMiddle,          kHomed,
                            kLarge,  kRun,   std::size_t{480}, std::size_t{481}};

void send_all_sizes(Encounter& meeting) {
  for (const auto size : kSizes) {
    if (!meeting.send(size)) return;
  }
}

void send_then_last(Encounter& meeting) {
  send_all_sizes(meeting);
  // More than the lane holds: the host sleeps for room, and is woken by the plugin or its death.
  for (int i = 0; i < 30; ++i) {
    if (!meeting.send(kInline)) return;
  }
  meeting.send(kSmall, kLast);
}

void let_it_sleep_for_room(Encounter& meeting) {
  meeting.wait_until_it_sleeps_for_room();
}

void answer_batches(Encounter& meeting) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) {
      if (!meeting.receive()) return;
    }
    if (!meeting.send(kInline)) return;
  }
}

void ping(Encounter& meeting) {
  for (int round = 0; round < 4; ++round) {
    meeting.wait_until_it_sleeps_for_a_message();
    if (!meeting.send(round % 2 == 0 ? kSmall : kInline) || !meeting.receive()) return;
  }
}

void ping_in_event_loop(Encounter& meeting) {
  for (int round = 0; round < 4; ++round) {
    meeting.wait_until_it_sleeps_for_a_message();
    if (!meeting.send(round % 2 == 0 ? kSmall : kInline)) return;
    if (!meeting.receive_in_event_loop()) return;
  }
}

void have_them_forwarded(Encounter& meeting) {
  for (const auto size : kSizes) {
    if (!meeting.send(size) || !meeting.receive()) return;
  }
}

// The plugin has taken everything by then: the host waits for what it gives back or leaves behind.
void wait_for_its_slabs(Encounter& meeting) {
  if (!meeting.receive()) return;
  for (const auto size : {kSmall, kLarge, kRun})
    meeting.want_slab(size);
}

void make_it_wait_for_a_slab(Encounter& meeting) {
  auto loans = lend_everything(meeting.channel());
  if (!meeting.send(kInline)) return;
  meeting.wait_until_somebody_sleeps_for_a_slab();
  while (!loans.empty())
    loans.pop_back();
}

void keep_it_busy(Encounter& meeting) {
  for (std::size_t number = 0;; ++number) {
    if (!meeting.send(kSizes[number % kSizes.size()]) || !meeting.receive()) return;
  }
}

void leave_letters(Encounter& meeting) {
  for (const auto size : {kSmall, kLarge, kInline}) {
    if (!meeting.send(size)) return;
  }
}

void send_until_it_is_told(Encounter& meeting) {
  while (meeting.send(kInline)) {
  }
}

}  // namespace

void play_partner(std::string_view scenario, Encounter& encounter) {
  constexpr std::array<std::pair<std::string_view, void (*)(Encounter&)>, 13> kPartners{{
      {"attach", leave_letters},
      {"detach", leave_letters},
      {"detach_from_sender", send_until_it_is_told},
      {"receive_and_release", send_then_last},
      {"receive_in_batches", send_then_last},
      {"fill_the_ring", let_it_sleep_for_room},
      {"batch", answer_batches},
      {"sleep_and_wake", ping},
      {"forward", have_them_forwarded},
      {"event_loop", ping_in_event_loop},
      {"hold_everything", wait_for_its_slabs},
      {"wait_for_a_slab", make_it_wait_for_a_slab},
      {"traffic", keep_it_busy},
  }};
  for (const auto& [name, play] : kPartners) {
    if (name == scenario) play(encounter);
  }
}

}  // namespace mews_test
