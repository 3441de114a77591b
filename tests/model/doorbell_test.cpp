// SPDX-License-Identifier: MIT
#include "model/support.hpp"
#include "model/traffic.hpp"

namespace mews::model {
namespace {

// Both ends live: nothing but the other's bell wakes the one that sleeps.
class Living final : public Traffic {
 public:
  explicit Living(const TrafficPlan& plan) : Traffic(plan, kPlugin) {
    threads_.clear();
    threads_.push_back({.name = "sleeper", .process = kHost, .body = [this] {
                          for (int i = 0; i < plan_.messages; ++i) {
                            const auto message = host_.receive();
                            expect(message.has_value(), "a receiver is told that all is over");
                            expect_next(*message);
                          }
                        }});
    threads_.push_back(
        {.name = "ringer", .process = kPlugin, .body = [this] { send_all(plugin_); }});
  }
  void reset() override {
    Traffic::reset();
    // Where there is an asymmetric fence, the host may use it, and the plugin towards the host.
    for (const auto peer : {PeerId{kHost}, PeerId{kPlugin}})
      tiny_.arena().peer(peer).fences.store(1, std::memory_order_relaxed);
  }
  void verify() override {}
};

enum class Arm { alone, one_of_many };

// The host sleeps in an event loop; what stands for its descriptor is a word of its own. The plugin
// may be killed between clearing the host's bit and signalling.
class EventLoop final : public Traffic {
 public:
  explicit EventLoop(Arm arm = Arm::alone) : Traffic({.bytes = 8}, kPlugin), arm_(arm) {
    words_.add("event", &event_);
    add(kHost, [this] { loop(); });
    add(kPlugin, [this] { send_all(plugin_); });
  }
  void reset() override {
    Traffic::reset();
    event_.store(0, std::memory_order_relaxed);
    signalled = &event_;
    wake_model = [] {
      signalled->store(1, std::memory_order_release);
      os::futex_wake(*signalled, 1);
    };
  }
  ~EventLoop() override { wake_model = nullptr; }
  void verify() override {
    host_.expect_all_received();
    expect(received_ >= sent_, "a message that was sent is lost");
  }

 private:
  void loop() {
    for (;;) {
      Result<Message> message;
      host_.channel().receive(message, detail::Timeout::none());
      if (message) {
        expect_next(*message);
      } else if (message.error().code() != ErrorCode::would_block) {
        return;
      } else if (arm()) {
        while (event_.exchange(0, std::memory_order_acquire) == 0)
          (void)os::futex_wait(event_, 0, forever);
      }
    }
  }

  /// Whether nothing is there.
  bool arm() {
    auto& channel = host_.channel();
    if (arm_ == Arm::alone) return *channel.arm_event();
    sync::Doorbell::fence_armed(*channel.arm_one_of_many());
    return !channel.has_news();
  }

  const Arm arm_;
  // The only one that anybody sleeps on: the host's.
  static inline base::Atomic<std::uint32_t>* signalled = nullptr;
  base::Atomic<std::uint32_t> event_{0};
};

// Slabs are freed, each by an exchange, and the bell rung with the fence of that. As many waiters
// of different processes keep what they get.
class Freed final : public Scenario {
 public:
  explicit Freed(std::uint32_t waiters)
      : slabs_(waiters), tiny_({.slabs = waiters, .chunk_slabs = 1}, words_) {
    threads_ = {{.name = "waiter", .process = kHost, .body = [this] { wait(host_); }}};
    if (waiters > 1) {
      threads_.push_back({.name = "waiter2", .process = kOther, .body = [this] { wait(other_); }});
    }
    threads_.push_back({.name = "holder", .process = kPlugin, .body = [this] {
                          for (const auto& slab : slabs_)
                            plugin_.session().pool().release(slab);
                        }});
  }
  void reset() override {
    tiny_.reset();
    for (auto* process : {&host_, &plugin_, &other_})
      process->reset();
    for (auto& slab : slabs_)
      (void)plugin_.session().claim(slab, kSlabBytes, detail::Timeout::none());
  }
  void verify() override {}

 private:
  static void wait(Process& process) {
    mem::Slab slab;
    expect(process.session().claim(slab, kSlabBytes, detail::Timeout(forever)).has_value(),
           "a wait without a deadline ended without a slab");
  }

  std::vector<mem::Slab> slabs_;
  TinyArena tiny_;
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  Process other_{tiny_, words_, kOther, kOther};
};

}  // namespace

TEST_CASE("doorbell: whoever sleeps for data, for space or for a slab is woken by its bell") {
  Living inlined({.messages = 4, .bytes = kMostInlineBytes});
  require_holds("data and space", inlined, {});
  Living slabs({.messages = 3, .arena = {.slabs = 1, .chunk_slabs = 1}});
  require_holds("data and a slab", slabs, {});
}

TEST_CASE("doorbell: an event loop is signalled for the dead whether its bit is set or not") {
  EventLoop loop;
  require_holds("event loop", loop, {.crashes = 1});
  EventLoop set(Arm::one_of_many);
  require_holds("event loop, one of many", set, {.crashes = 1});
}

TEST_CASE("doorbell: with store buffers the exchange that frees a slab is fence enough") {
  Freed one(1);
  require_holds("freed bell, store buffers", one, {.memory = Memory::buffered});
}

TEST_CASE("doorbell: of several waiters each is woken for what became free before it slept") {
  Freed two(2);
  require_holds("freed bell, two waiters", two, {});
}

TEST_CASE("doorbell: with store buffers a full fence on each side loses no wake-up") {
  Living rings({.messages = 1, .bytes = 8});
  require_holds("fences on both sides, store buffers", rings, {.memory = Memory::buffered});
}

TEST_CASE("doorbell: with store buffers the sleeper's heavy fence alone loses no wake-up") {
  Living rings({.messages = 2, .bytes = 8});
  require_holds("heavy fence alone, store buffers", rings, {.memory = Memory::buffered_heavy});
}

TEST_CASE("doorbell: with store buffers a missing fence loses a wake-up", "[.][no_fence]") {
  Living rings({.messages = 1, .bytes = 8});
  require_found("no fence, store buffers", rings, {.memory = Memory::buffered},
                "sleeper sleeps for ever on to_host.data_bell");
}

TEST_CASE("doorbell: signalling an event loop only where its bit is set is found",
          "[.][event_only_when_armed]") {
  EventLoop loop;
  require_found("event only when armed", loop, {.crashes = 1}, "host sleeps for ever on event");
}

}  // namespace mews::model
