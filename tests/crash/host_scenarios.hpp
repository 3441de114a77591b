// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "crash/actor.hpp"
#include "crash/lending.hpp"
#include "crash/plugin_scenarios.hpp"
#include "crash/survivor.hpp"

/// What a host does while it is to be killed, with a plugin that it has admitted; in most of it, it
/// does what a plugin does in the scenario of the same name.
namespace mews_test::host {

/// `VictimLog::phase`: how far the host is.
inline constexpr std::uint32_t kListens = 1;
inline constexpr std::uint32_t kHasAdmitted = 2;
inline constexpr std::uint32_t kHoldsEverything = 3;

struct Stage {
  mews::Session& host;
  Actor& actor;
  std::string victim;  ///< the program to start in `recover`
};

inline void nothing(Stage&) {}

/// As a plugin does it.
template <void (*run)(Actor&)>
void as_plugin(Stage& stage) {
  run(stage.actor);
}

inline void send(Stage& stage) {
  std::vector<mews::Loan> loans;
  for (const auto size : {kSmall, kInline, kLarge})
    loans.push_back(stage.actor.loan(size));
  stage.actor.send_batch(std::move(loans));
  for (const auto size : plugin::kSizes)
    stage.actor.send(stage.actor.loan(size));
  for (int i = 0; i < 40; ++i)
    stage.actor.send(kInline);
}

inline void receive_and_answer(Stage& stage) {
  while (auto message = stage.actor.receive()) {
    const bool is_last = message->type() == kLast;
    stage.actor.send(std::move(*message).into_loan());
    if (is_last) return;
  }
}

inline void hold_everything(Stage& stage) {
  auto loans = lend_everything(stage.actor.channel());
  stage.actor.log().phase = kHoldsEverything;
  stage.actor.send(kInline);
  while (!loans.empty())
    loans.pop_back();
}

/// Starts a plugin that dies holding nearly all there is, takes it back, and does it once more.
inline void recover(Stage& stage) {
  VictimLogPage page;
  for (int round = 0; round < 2; ++round) {
    page.reset();
    auto victim = stage.host.spawn("victim", {stage.victim, "hold_everything", "70", page.path()});
    if (!victim) return complain(stage.actor.log(), "spawn: " + victim.error().message());
    const auto exit = victim->wait_exit(mews::forever);
    if (!exit) return complain(stage.actor.log(), "exit: " + exit.error().message());
    // What it had published is received, or dropped with it.
    if (round == 0) (void)victim->channel().receive(mews::forever);
    stage.actor.send(kHomed);
  }
}

struct Scenario {
  std::string_view name;
  plugin::CountFrom count_from;  ///< attach: from the arena's creation on; detach: the goodbye
  Part survivor;                 ///< what the plugin does meanwhile
  void (*run)(Stage&);
};

using enum plugin::CountFrom;
inline constexpr std::array kScenarios{
    Scenario{"create", attach, Part::stream, nothing},
    Scenario{"goodbye", detach, Part::stream, nothing},
    Scenario{"send", work, Part::stream, send},
    Scenario{"receive_and_release", work, Part::stream, as_plugin<plugin::receive_and_release>},
    Scenario{"receive_in_batches", work, Part::stream, as_plugin<plugin::receive_in_batches>},
    Scenario{"receive_and_answer", work, Part::stream, receive_and_answer},
    Scenario{"fill_the_ring", work, Part::late, as_plugin<plugin::fill_the_ring>},
    Scenario{"wrap_with_filler", work, Part::quiet, as_plugin<plugin::wrap_with_filler>},
    Scenario{"run_of_slabs", work, Part::quiet, as_plugin<plugin::run_of_slabs>},
    Scenario{"larger_class", work, Part::quiet, as_plugin<plugin::larger_class>},
    Scenario{"home_chunks", work, Part::quiet, as_plugin<plugin::home_chunks>},
    Scenario{"home_chunks_without_hints", work, Part::quiet, as_plugin<plugin::home_chunks>},
    Scenario{"batch", work, Part::stream, as_plugin<plugin::batch>},
    Scenario{"sleep_and_wake", work, Part::ping, as_plugin<plugin::sleep_and_wake>},
    Scenario{"forward", work, Part::ping, as_plugin<plugin::forward>},
    Scenario{"event_loop", work, Part::ping, as_plugin<plugin::event_loop>},
    Scenario{"hold_everything", work, Part::lend, hold_everything},
    Scenario{"wait_for_a_slab", work, Part::holder, as_plugin<plugin::wait_for_a_slab>},
    Scenario{"recover", work, Part::lend, recover},
};

[[nodiscard]] inline const Scenario* find(std::string_view name) noexcept {
  for (const auto& each : kScenarios) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

}  // namespace mews_test::host
