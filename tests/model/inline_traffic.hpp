// SPDX-License-Identifier: MIT
#pragma once

#include <array>

#include "model/channel_steps.hpp"

namespace mews::model {

// A plugin sends records without slabs through a lane that has room for two, so both ends sleep:
// the host for data, the plugin for space. It may be killed anywhere, and always exits in the end.
template <class Policy>
class InlineTraffic final : public Scenario {
 public:
  struct Plan {
    int messages = 3;
    std::uint32_t cells = 4;         ///< per message
    std::uint32_t cells_before = 0;  ///< sent and read beforehand, one by one
    bool is_batched = false;         ///< the first two are published together
  };

  explicit InlineTraffic(const Plan& plan) : plan_(plan) {
    words_.add("host.partner_is_dead", &host_.partner_is_dead);
    threads_ = {
        {.name = "host", .process = kHost, .body = [this] { receive_all(); }},
        {.name = "plugin", .process = kPlugin, .body = [this] { send_all(); }, .may_crash = true},
        {.name = "watcher",
         .process = kHost,
         .body = [this] { recover<Policy>(host_); },
         .recovers = kPlugin}};
  }

  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    received_ = 0;
    layout::Descriptor record;
    for (std::uint32_t i = 0; i < plan_.cells_before; ++i) {
      Policy::publish(plugin_, {}, {});
      (void)host_.consumer->look(record);
      host_.consumer->advance(record);
      (void)host_.consumer->release_cells(ring::Look::empty);
    }
    plugin_.published = 0;
  }

  void verify() override {
    expect(received_ == plugin_.published, "not every published message was delivered");
    expect(is_killed() || received_ == static_cast<std::uint32_t>(plan_.messages),
           "a message was not sent");
  }

 private:
  static constexpr std::uint32_t kRingCells = 16;

  // Killed before its last message was out; the recovery alone does not tell it from an exit.
  [[nodiscard]] bool is_killed() const {
    return is_dead(kPlugin) && plugin_.published < static_cast<std::uint32_t>(plan_.messages);
  }

  void send_all() {
    // What a mark of the next lap would look like, to be written around.
    std::array<std::uint64_t, 60> payload{};
    for (int i = 0; i < plan_.messages; ++i) {
      if (!wait_for_room<Policy>(plugin_, plan_.cells)) return;
      const auto bytes = plan_.cells * layout::kCellBytes - layout::kDescriptorBytes;
      const layout::Descriptor record{.correlation = plugin_.published, .bytes = bytes};
      const auto all = std::as_bytes(std::span(payload)).first(bytes);
      if (plan_.is_batched && i == 0) {
        const auto push = plugin_.producer->try_stage(record, all, ring::Room::ordinary);
        expect(push == ring::Push::done, "a lane with room for a record refuses it");
        point("has staged the first of two");
        auto second = record;
        ++second.correlation;
        Policy::publish(plugin_, second, all);
        ++plugin_.published;
        ++i;
      } else {
        Policy::publish(plugin_, record, all);
      }
      (void)plugin_.out_data().ring(Policy::kRing);
    }
  }

  void receive_all() {
    for (;;) {
      const auto received = receive<Policy>(host_);
      if (received.got == Got::died) return;
      expect(received.correlation == received_, "a message came twice or out of order");
      ++received_;
    }
  }

  Plan plan_;
  TinyArena tiny_{{.slabs = 1, .chunk_slabs = 1}, words_};
  End host_{tiny_, kHost, kToPlugin, kToHost, kRingCells};
  End plugin_{tiny_, kPlugin, kToHost, kToPlugin, kRingCells};
  std::uint32_t received_ = 0;
};

}  // namespace mews::model
