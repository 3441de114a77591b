// SPDX-License-Identifier: MIT
#include "crash/host_side.hpp"

#include <poll.h>

#include <algorithm>
#include <iterator>
#include <thread>

#include "crash/lane_audit.hpp"
#include "crash/payload.hpp"
#include "crash/table.hpp"

namespace mews_test {

void HostSide::add_problem(const std::string& text) {
  if (problem_.empty()) problem_ = text;
}

// The plugin is gone, one way or the other; any other error is a problem.
void HostSide::note(const char* call, const mews::Error& error) {
  using mews::ErrorCode;
  ended_ = error.code();
  if (ended_ != ErrorCode::peer_died && ended_ != ErrorCode::closed) {
    add_problem(std::string(call) + ": " + error.message());
  }
}

void HostSide::note_if_stuck(const char* call, const Patience& patience) {
  if (patience.is_over()) add_problem(std::string(call) + ": nobody woke it");
}

bool HostSide::send(std::size_t bytes, std::uint32_t type) {
  const Patience patience;
  auto loan = channel().loan(bytes, patience);
  if (!loan) {
    add_problem("loan: " + loan.error().message());
    return false;
  }
  fill(loan->bytes(), sent_);
  const auto sent =
      channel().send(std::move(*loan), {.type = type, .correlation = sent_}, patience);
  note_if_stuck("loan and send", patience);
  if (!sent) {
    note("send", sent.error());
    return false;
  }
  ++sent_;
  return true;
}

void HostSide::want_slab(std::size_t bytes) {
  const Patience patience;
  const auto loan = channel().loan(bytes, patience);
  if (!loan) add_problem("loan: " + loan.error().message());
  note_if_stuck("loan", patience);
}

bool HostSide::keep(mews::Message message) {
  const auto number = received_++;
  if (const auto fault = fault_of(message.bytes(), number)) {
    add_problem("message " + std::to_string(number) + ": " + *fault);
  }
  // Not so many that a run finds no place.
  const bool is_kept = message.size() < kHomed ? number % 2 == 1 : number % 7 == 4;
  if (is_kept) kept_.push_back({number, std::move(message)});
  return true;
}

bool HostSide::receive() {
  const Patience patience;
  auto message = channel().receive(patience);
  note_if_stuck("receive", patience);
  if (message) return keep(std::move(*message));
  note("receive", message.error());
  return false;
}

void HostSide::receive_all() {
  while (receive()) {
  }
}

bool HostSide::receive_in_event_loop() {
  for (;;) {
    const auto arming = channel().arm_event();
    if (!arming) {
      note("arm", arming.error());
      return false;
    }
    if (!*arming) break;
    pollfd event{.fd = channel().event_fd(), .events = POLLIN, .revents = 0};
    if (::poll(&event, 1, std::chrono::milliseconds(kStuck).count()) == 0) {
      add_problem("the event loop was armed and never woken");
      return false;
    }
  }
  auto message = channel().try_receive();
  if (message) return keep(std::move(*message));
  note("receive", message.error());
  return false;
}

template <class IsSo>
void HostSide::wait_until(const char* what, IsSo&& is_so) {
  const mews::Deadline deadline(kStuck);
  while (!is_so() && !is_over()) {
    if (deadline.has_passed()) return add_problem(std::string("it never ") + what);
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

void HostSide::wait_until_it_sleeps_for_a_message() {
  wait_until("slept for a message",
             [&] { return is_armed(arena_.lane(lane_to(plugin_.peer())).data_bell); });
}

void HostSide::wait_until_it_sleeps_for_room() {
  wait_until("slept for room",
             [&] { return is_armed(arena_.lane(lane_from(plugin_.peer())).space_bell); });
}

void HostSide::wait_until_somebody_sleeps_for_a_slab() {
  wait_until("slept for a slab", [&] {
    const auto& bells = arena_.pool().freed_bell;
    return std::any_of(std::begin(bells), std::end(bells), is_armed);
  });
}

void HostSide::check_deliveries() {
  const auto sent = log_.sent.load();
  const auto begun = log_.begun.load();
  if (received_ < sent || received_ > begun) {
    add_problem(std::to_string(received_) + " messages came of " + std::to_string(sent) +
                " sent and " + std::to_string(begun) + " begun");
  }
  const auto its = log_.received.load();
  if (its > sent_) add_problem("it received more than was sent");
  if (log_.stuck.load() != 0) add_problem(std::string("the plugin: ") + log_.complaint);
  // It may have given back the cells of one more than it has noted.
  const Range to_it{.least = sent_ - std::min(sent_, its + 1), .most = sent_};
  if (const auto fault = faults_of_lanes(arena_, plugin_.peer(), to_it, {0, 0}); !fault.empty()) {
    add_problem(fault);
  }
}

std::uint32_t HostSide::slabs_kept() const noexcept {
  std::uint32_t count = 0;
  for (const auto& kept : kept_)
    count += slabs_of(kept.message.size());
  return count;
}

void HostSide::check_kept() {
  for (const auto& kept : kept_) {
    if (const auto fault = fault_of(kept.message.bytes(), kept.number)) {
      add_problem("message " + std::to_string(kept.number) + ", after the death: " + *fault);
    }
  }
}

}  // namespace mews_test
