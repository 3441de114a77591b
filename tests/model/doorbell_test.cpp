// SPDX-License-Identifier: MIT
#include "model/channel_steps.hpp"
#include "model/inline_traffic.hpp"
#include "model/mutants.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

// One record and one sleeper; the ringer lives. For store buffers, whose schedules are many.
template <class Policy>
class OneRing final : public Scenario {
 public:
  OneRing() {
    threads_ = {{.name = "sleeper",
                 .process = kHost,
                 .body =
                     [this] {
                       while (!host_.consumer->has_record()) {
                         Policy::sleep(host_.in_data(),
                                       [this] { return host_.consumer->has_record(); });
                       }
                     }},
                {.name = "ringer", .process = kPlugin, .body = [this] {
                   for (int i = 0; i < 2; ++i) {
                     Policy::publish(plugin_, {}, {});
                     (void)plugin_.out_data().ring(Policy::kRing);
                   }
                 }}};
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
  }
  void verify() override {}

 private:
  TinyArena tiny_{{.slabs = 1, .chunk_slabs = 1}, words_};
  End host_{tiny_, kHost, kToPlugin, kToHost, 16};
  End plugin_{tiny_, kPlugin, kToHost, kToPlugin, 16};
};

// The host sleeps in an event loop; what stands for its eventfd is a word of its own. The plugin
// may be killed between clearing the host's bit and signalling.
template <bool kSignalsAlways>
class EventLoop final : public Scenario {
 public:
  EventLoop() {
    words_.add("event", &event_);
    threads_ = {{.name = "host", .process = kHost, .body = [this] { loop(); }},
                {.name = "plugin",
                 .process = kPlugin,
                 .body =
                     [this] {
                       for (int i = 0; i < 2; ++i) {
                         Real::publish(plugin_, {}, {});
                         if (plugin_.out_data().ring(sync::RingFence::full)) signal();
                       }
                     },
                 .may_crash = true},
                {.name = "watcher",
                 .process = kHost,
                 .body =
                     [this] {
                       host_.partner_is_dead.store(1, std::memory_order_seq_cst);
                       if (host_.in_data().ring_always() || kSignalsAlways) signal();
                     },
                 .recovers = kPlugin}};
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    event_.store(0, std::memory_order_relaxed);
    received_ = 0;
  }
  void verify() override {
    expect(received_ == plugin_.published, "not every published message was delivered");
  }

 private:
  void loop() {
    layout::Descriptor record;
    for (;;) {
      const bool is_dead_now = host_.is_partner_dead();
      while (host_.consumer->look(record) == ring::Look::record) {
        host_.consumer->advance(record);
        ++received_;
      }
      if (is_dead_now) return;
      (void)host_.in_data().arm(sync::Sleeper::event_loop);
      if (host_.consumer->has_record() || host_.is_partner_dead()) continue;
      while (event_.exchange(0, std::memory_order_acquire) == 0) {
        (void)os::futex_wait(event_, 0, forever);
      }
    }
  }
  void signal() {
    event_.store(1, std::memory_order_release);
    os::futex_wake(event_, 1);
  }

  TinyArena tiny_{{.slabs = 1, .chunk_slabs = 1}, words_};
  End host_{tiny_, kHost, kToPlugin, kToHost, 16};
  End plugin_{tiny_, kPlugin, kToHost, kToPlugin, 16};
  base::Atomic<std::uint32_t> event_{0};
  std::uint32_t received_ = 0;
};

// Slabs are freed, each by an exchange, and the bell rung with the fence of that. As many waiters
// claim, arm, claim again, sleep; and keep what they get.
class Freed final : public Scenario {
 public:
  explicit Freed(std::uint32_t waiters)
      : slabs_(waiters), tiny_({.slabs = waiters, .chunk_slabs = 1}, words_) {
    const auto wait = [this](int peer) {
      bool has_slab = tiny_.claim(peer).has_value();
      const auto claim = [&] { return has_slab = tiny_.claim(peer).has_value(); };
      while (!has_slab)
        Real::sleep(host_.freed(), claim);
    };
    threads_ = {{.name = "waiter", .process = kHost, .body = [wait] { wait(kHost); }}};
    if (waiters > 1) {
      threads_.push_back({.name = "waiter2", .process = kOther, .body = [wait] { wait(kOther); }});
    }
    threads_.push_back({.name = "holder", .process = kPlugin, .body = [this] {
                          for (const auto& slab : slabs_) {
                            (void)tiny_.release(kPlugin, *slab);
                            (void)host_.freed().ring(sync::RingFence::after_exchange);
                          }
                        }});
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    for (auto& slab : slabs_)
      slab = tiny_.claim(kPlugin);
  }
  void verify() override { tiny_.expect_sound(); }

 private:
  std::vector<std::optional<mem::Slab>> slabs_;
  TinyArena tiny_;
  End host_{tiny_, kHost, kToPlugin, kToHost, 16};
};

}  // namespace

TEST_CASE("doorbell: whoever sleeps for data or for space is woken, also by a death") {
  InlineTraffic<Real> traffic({});
  require_holds("sleep and wake", traffic, {});
  require_holds("sleep and wake", traffic, {.crashes = 1});
}

TEST_CASE("doorbell: a wake word read after the check loses a wake-up") {
  InlineTraffic<WakeWordAfterCheck> traffic({});
  require_found("wake word after the check", traffic, {});
}

TEST_CASE("doorbell: a missing second look loses a wake-up") {
  InlineTraffic<NoSecondLook> traffic({});
  require_found("no second look", traffic, {});
}

TEST_CASE("doorbell: ringing only armed bells for the dead loses the wake-up that it owed") {
  InlineTraffic<RingOnlyTheArmed> traffic({});
  require_found("only armed bells for the dead", traffic, {.crashes = 1});
}

TEST_CASE("doorbell: an event loop is signalled for the dead whether its bit is set or not") {
  EventLoop<true> always;
  require_holds("event loop", always, {.crashes = 1});
  EventLoop<false> when_armed;
  require_found("event loop signalled only when armed", when_armed, {.crashes = 1});
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
  OneRing<Real> one;
  require_holds("fences on both sides, store buffers", one, {.memory = Memory::buffered});
}

TEST_CASE("doorbell: with store buffers the sleeper's heavy fence alone loses no wake-up") {
  OneRing<NoFence> one;
  require_holds("heavy fence alone, store buffers", one, {.memory = Memory::buffered_heavy});
}

TEST_CASE("doorbell: with store buffers a missing fence loses a wake-up") {
  OneRing<NoFence> one;
  require_found("no fence, store buffers", one, {.memory = Memory::buffered});
}

}  // namespace mews::model
