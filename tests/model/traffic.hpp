// SPDX-License-Identifier: MIT
#pragma once

#include <functional>

#include "model/process.hpp"

/// Scenarios of one channel, made of the library's own cores.
namespace mews::model {

struct TrafficPlan {
  int messages = 2;
  std::size_t bytes = kSlabBytes;  ///< of each
  TinyPlan arena = {.slabs = 2, .chunk_slabs = 1};
  bool has_bystander = false;  ///< a third process that claims and releases meanwhile
  int messages_before = 0;     ///< from the plugin, received beforehand
};

/// A host and a plugin; the watcher in the one that survives the other; a bystander.
class Traffic : public Scenario {
 public:
  /// `mortal` (kHost or kPlugin) may be killed anywhere, and otherwise ends; either is a death.
  Traffic(const TrafficPlan& plan, int mortal);
  void reset() override;
  void verify() override;

 protected:
  void add(int peer, std::function<void()> body);
  [[nodiscard]] Process& process(int peer) { return peer == kHost ? host_ : plugin_; }

  /// `sender` sends the planned messages, as long as that succeeds.
  void send_all(Process& sender);
  /// `receiver` receives to the end, and keeps each message until the next has come.
  void receive_all(Process& receiver);
  void expect_next(const Message& message);

  TrafficPlan plan_;
  int mortal_;
  TinyArena tiny_{plan_.arena, words_};
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  std::uint32_t sent_ = 0;  ///< sends that succeeded; one more may have been published
  std::uint32_t received_ = 0;
  std::optional<ErrorCode> end_;  ///< why nothing more was received
};

/// `sender` sends and dies; the other end receives until it is told so.
class DeadSender final : public Traffic {
 public:
  explicit DeadSender(const TrafficPlan& plan, int sender = kPlugin);
  void verify() override;
};

}  // namespace mews::model
