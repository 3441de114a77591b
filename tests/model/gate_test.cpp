// SPDX-License-Identifier: MIT
#include "mews/sync/gate.hpp"
#include "model/channel_steps.hpp"
#include "model/model_sync.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

using ModelGate = sync::BasicGate<Mutex, CondVar>;

[[nodiscard]] bool is_any_free(const TinyArena& tiny) {
  for (std::uint32_t i = 0; i < tiny.slabs(); ++i) {
    const auto word = tiny.view().words[i].load(std::memory_order_relaxed);
    if (layout::TruthWord::unpack(word).phase == layout::Phase::free) return true;
  }
  return false;
}

[[nodiscard]] mem::Slab claim_at_gate(TinyArena& tiny, End& host, ModelGate& gate) {
  const auto slab = gate.wait(
      forever, [&] { return tiny.claim(kHost); },
      [&](Deadline) { Real::sleep(host.freed(), [&] { return is_any_free(tiny); }); });
  expect(slab.has_value(), "a wait without a deadline ended without a slab");
  return *slab;
}

// Threads of the host wait at the gate for slabs, all of which the plugin has at first. The plugin
// may be killed anywhere.
class AtGate : public Scenario {
 public:
  void reset() override {
    tiny_.reset();
    host_.reset();
    gate_.emplace();
    for (auto& slab : slabs_)
      slab = tiny_.claim(kPlugin);
  }

 protected:
  AtGate(std::uint32_t waiters, std::uint32_t slabs)
      : slabs_(slabs), tiny_({.slabs = slabs, .chunk_slabs = 1}, words_) {
    for (std::uint32_t i = 0; i < waiters; ++i) {
      threads_.push_back(
          {.name = "waiter" + std::to_string(i + 1), .process = kHost, .body = [this] { wait(); }});
    }
    threads_.push_back({.name = "plugin",
                        .process = kPlugin,
                        .body = [this] { release_all(); },
                        .may_crash = true});
    threads_.push_back({.name = "watcher",
                        .process = kHost,
                        .body = [this] { recover<Real>(host_); },
                        .recovers = kPlugin});
  }
  virtual void wait() = 0;

  std::vector<std::optional<mem::Slab>> slabs_;
  TinyArena tiny_;
  End host_{tiny_, kHost, kToPlugin, kToHost, 16};
  std::optional<ModelGate> gate_;

 private:
  void release_all() {
    for (const auto& slab : slabs_) {
      (void)tiny_.release(kPlugin, *slab);
      (void)host_.freed().ring(sync::RingFence::full);
    }
  }
};

// There is one slab, which the waiters hand on among themselves.
class OneSlab final : public AtGate {
 public:
  explicit OneSlab(std::uint32_t waiters) : AtGate(waiters, 1) {}
  void verify() override {
    tiny_.expect_sound();
    tiny_.expect_whole(kHost);
  }

 private:
  void wait() override {
    const auto slab = claim_at_gate(tiny_, host_, *gate_);
    expect(tiny_.release(kHost, slab), "a slab that was held could not be released");
    (void)gate_->notify();
    (void)host_.freed().ring(sync::RingFence::full);
  }
};

// As many slabs as waiters, and each waiter keeps what it gets, so that only the plugin's bell
// wakes, and the lead has to be passed on.
class Kept final : public AtGate {
 public:
  explicit Kept(std::uint32_t waiters) : AtGate(waiters, waiters) {}
  void verify() override { tiny_.expect_sound(); }

 private:
  void wait() override { (void)claim_at_gate(tiny_, host_, *gate_); }
};

}  // namespace

TEST_CASE("gate: every thread that waits for a slab gets it, also when its holder dies") {
  OneSlab two(2);
  require_holds("gate, two waiters", two, {});
  require_holds("gate, two waiters", two, {.crashes = 1});
  OneSlab three(3);
  require_holds("gate, three waiters", three, {.preemptions = 1, .crashes = 1});
}

TEST_CASE("gate: each slab that another process frees reaches a thread, whoever has the lead") {
  Kept two(2);
  require_holds("gate, two kept", two, {.crashes = 1});
  Kept three(3);
  require_holds("gate, three kept", three, {.preemptions = 1, .crashes = 1});
}

}  // namespace mews::model
