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

void send_all_sizes(HostSide& host_side) {
  for (const auto size : kSizes) {
    if (!host_side.send(size)) return;
  }
}

void send_then_last(HostSide& host_side) {
  send_all_sizes(host_side);
  // More than the lane holds: the host sleeps for room, and is woken by the plugin or its death.
  for (int i = 0; i < 30; ++i) {
    if (!host_side.send(kInline)) return;
  }
  host_side.send(kSmall, kLast);
}

void let_it_sleep_for_room(HostSide& host_side) {
  host_side.wait_until_it_sleeps_for_room();
}

void answer_batches(HostSide& host_side) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) {
      if (!host_side.receive()) return;
    }
    if (!host_side.send(kInline)) return;
  }
}

void ping(HostSide& host_side) {
  for (int round = 0; round < 4; ++round) {
    host_side.wait_until_it_sleeps_for_a_message();
    if (!host_side.send(round % 2 == 0 ? kSmall : kInline) || !host_side.receive()) return;
  }
}

void ping_in_event_loop(HostSide& host_side) {
  for (int round = 0; round < 4; ++round) {
    host_side.wait_until_it_sleeps_for_a_message();
    if (!host_side.send(round % 2 == 0 ? kSmall : kInline)) return;
    if (!host_side.receive_in_event_loop()) return;
  }
}

void have_them_forwarded(HostSide& host_side) {
  for (const auto size : kSizes) {
    if (!host_side.send(size) || !host_side.receive()) return;
  }
}

// The plugin has taken everything by then: the host waits for what it gives back or leaves behind.
void wait_for_its_slabs(HostSide& host_side) {
  if (!host_side.receive()) return;
  for (const auto size : {kSmall, kLarge, kRun})
    host_side.want_slab(size);
}

void make_it_wait_for_a_slab(HostSide& host_side) {
  auto loans = lend_everything(host_side.channel());
  if (!host_side.send(kInline)) return;
  host_side.wait_until_somebody_sleeps_for_a_slab();
  while (!loans.empty())
    loans.pop_back();
}

void keep_it_busy(HostSide& host_side) {
  for (std::size_t number = 0;; ++number) {
    if (!host_side.send(kSizes[number % kSizes.size()]) || !host_side.receive()) return;
  }
}

void leave_letters(HostSide& host_side) {
  for (const auto size : {kSmall, kLarge, kInline}) {
    if (!host_side.send(size)) return;
  }
}

void send_until_it_is_told(HostSide& host_side) {
  while (host_side.send(kInline)) {
  }
}

}  // namespace

void play_partner(std::string_view scenario, HostSide& host_side) {
  constexpr std::array<std::pair<std::string_view, void (*)(HostSide&)>, 13> kPartners{{
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
    if (name == scenario) play(host_side);
  }
}

}  // namespace mews_test
