// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "crash/actor.hpp"
#include "crash/kill_point.hpp"
#include "crash/plugin_scenarios.hpp"

/// What a host does while it is to be killed, with one plugin that it has admitted. The plugin's
/// part is the same throughout, see survivor.hpp.
namespace mews_test::host {

/// `Witness::phase`: how far the host is.
inline constexpr std::uint32_t kCreated = 1;
inline constexpr std::uint32_t kAdmitted = 2;
inline constexpr std::uint32_t kHoldsEverything = 3;

struct Stage {
  mews::Session& host;
  Actor& actor;
  std::string victim;  ///< the program to start in `recover`
};

inline void nothing(Stage&) {}

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

inline void receive(Stage& stage) {
  plugin::receive_and_release(stage.actor);
}

inline void receive_and_answer(Stage& stage) {
  while (auto message = stage.actor.receive()) {
    const bool is_last = message->type() == kLast;
    stage.actor.send(std::move(*message).into_loan());
    if (is_last) return;
  }
}

inline void hold_everything(Stage& stage) {
  std::vector<mews::Loan> loans;
  for (const auto size : {kLarge, kHomed, kMiddle, kSmall}) {
    for (;;) {
      auto loan = stage.actor.channel().try_loan(size);
      if (!loan) break;
      loans.push_back(std::move(*loan));
    }
  }
  stage.actor.witness().phase = kHoldsEverything;
  stage.actor.send(kInline);
  while (!loans.empty())
    loans.pop_back();
}

/// Starts a plugin that dies holding nearly all there is, takes it back, and does it once more.
inline void recover(Stage& stage) {
  WitnessPage page;
  for (int round = 0; round < 2; ++round) {
    page.reset();
    auto victim = stage.host.spawn("victim", {stage.victim, "hold_everything", "70", page.fd()});
    if (!victim) return complain(stage.actor.witness(), "spawn: " + victim.error().message());
    const auto exit = victim->wait_exit(mews::forever);
    if (!exit) return complain(stage.actor.witness(), "exit: " + exit.error().message());
    // What it had published is received, or dropped with it.
    if (round == 0) (void)victim->channel().receive(mews::forever);
    stage.actor.send(kHomed);
  }
}

struct Scenario {
  std::string_view name;
  plugin::CountFrom count_from;  ///< attach: from its creation on
  void (*run)(Stage&);
};

inline constexpr std::array kScenarios{
    Scenario{"create", plugin::CountFrom::attach, nothing},
    Scenario{"goodbye", plugin::CountFrom::detach, nothing},
    Scenario{"send", plugin::CountFrom::work, send},
    Scenario{"receive", plugin::CountFrom::work, receive},
    Scenario{"receive_and_answer", plugin::CountFrom::work, receive_and_answer},
    Scenario{"hold_everything", plugin::CountFrom::work, hold_everything},
    Scenario{"recover", plugin::CountFrom::work, recover},
};

}  // namespace mews_test::host
