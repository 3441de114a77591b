// SPDX-License-Identifier: MIT
#include "model/process.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

/// Whether the host takes back what a dead plugin had.
enum class Recovery : std::uint8_t { none, by_host };

// Peers with homes: chunks of two slabs, so that adopting, taking over, stealing and sweeping all
// happen within a few claims. The plugin may be killed anywhere.
class Homes : public Scenario {
 public:
  Homes(const TinyPlan& plan, Recovery recovery) : recovery_(recovery), tiny_(plan, words_) {
    if (recovery == Recovery::none) return;
    threads_.push_back({.name = "watcher",
                        .process = kHost,
                        .body = [this] { host_.on_death(); },
                        .recovers = kPlugin});
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
  }
  void verify() override {
    tiny_.expect_sound(recovery_ == Recovery::by_host ? -1 : kPlugin);
    tiny_.expect_whole(kHost);
  }

 protected:
  void add(const char* name, int peer, std::function<void()> body) {
    threads_.push_back(
        {.name = name, .process = peer, .body = std::move(body), .may_crash = peer == kPlugin});
  }
  void give_back(int peer, std::optional<mem::Slab>& slab) {
    if (!slab) return;
    expect(tiny_.release(peer, *slab), "a slab that was held could not be released");
    slab.reset();
    (void)freed().ring(sync::RingFence::after_exchange);
  }

  [[nodiscard]] sync::Doorbell freed() const {
    return sync::Doorbell(tiny_.arena().pool().freed_bell[0]);
  }

  Recovery recovery_;
  TinyArena tiny_;
  Process host_{tiny_, words_, kHost, kPlugin};
};

// Each takes more than fits a chunk, so each goes on to a second one, or to the other's.
class TurnOver final : public Homes {
 public:
  TurnOver(const TinyPlan& plan, Recovery recovery) : Homes(plan, recovery) {
    add("host", kHost, [this] { turn_over(kHost); });
    add("plugin", kPlugin, [this] { turn_over(kPlugin); });
  }

 private:
  void turn_over(int peer) {
    std::optional<mem::Slab> slabs[3];
    for (auto& slab : slabs)
      slab = tiny_.claim(peer);
    give_back(peer, slabs[1]);
    slabs[1] = tiny_.claim(peer);
    for (auto& slab : slabs)
      give_back(peer, slab);
  }
};

// Two threads of one process share its home, and what it remembers of the chunk.
class SharedHome final : public Homes {
 public:
  explicit SharedHome(const TinyPlan& plan) : Homes(plan, Recovery::none) {
    for (const char* name : {"first", "second"}) {
      add(name, kHost, [this] {
        std::optional<mem::Slab> slabs[2];
        for (auto& slab : slabs)
          slab = tiny_.claim(kHost);
        for (auto& slab : slabs)
          give_back(kHost, slab);
        for (auto& slab : slabs)
          slab = tiny_.claim(kHost);
        for (auto& slab : slabs)
          give_back(kHost, slab);
      });
    }
  }
};

// One thread goes on to the last chunk, which is a partial one, while another still works in the
// first and then notes what it found there.
class LeftBehind final : public Homes {
 public:
  LeftBehind() : Homes({.slabs = 5, .chunk_slabs = 4}, Recovery::none) {
    add("first", kHost, [this] {
      auto slab = tiny_.claim(kHost);
      give_back(kHost, slab);
    });
    add("second", kHost, [this] {
      auto slab = tiny_.claim(kHost);
      give_back(kHost, held_[3]);
      give_back(kHost, slab);
    });
  }
  void reset() override {
    Homes::reset();
    for (auto& slab : held_)
      slab = tiny_.claim(kHost);
  }

 private:
  std::optional<mem::Slab> held_[4];
};

// Slabs of one peer's home are freed by the other, whose hint and the home peer's clearing of it
// cross; then the home peer, who is told that nothing is left, sleeps until something is.
class ComingHome final : public Homes {
 public:
  explicit ComingHome(Recovery recovery) : Homes({.slabs = 2, .chunk_slabs = 2}, recovery) {
    add("host", kHost, [this] {
      for (int i = 0; i < 2; ++i) {
        auto slab = claim_blocking(kHost);
        give_back(kHost, slab);
      }
    });
    add("plugin", kPlugin, [this] {
      for (auto& slab : lent_)
        give_back(kPlugin, slab);
      auto slab = claim_blocking(kPlugin);
      give_back(kPlugin, slab);
    });
  }
  void reset() override {
    Homes::reset();
    for (auto& slab : lent_) {
      // The host's home, but the plugin holds what is in it.
      auto held = claim_one(tiny_.pool(kHost));
      (void)tiny_.pool(kHost).mark_in_flight(*held, kToPlugin);
      slab = tiny_.take(kPlugin,
                        {.size_class = 0,
                         .index = held->first.value(),
                         .generation = layout::TruthWord::unpack(held->word).generation,
                         .bytes = 8},
                        kToPlugin, kHost);
    }
  }

 private:
  [[nodiscard]] std::optional<mem::Slab> claim_blocking(int peer) {
    for (;;) {
      if (auto slab = tiny_.claim(peer)) return slab;
      const auto ticket = freed().arm(sync::Sleeper::futex, sync::ArmFence::heavy);
      if (auto slab = tiny_.claim(peer)) return slab;
      freed().sleep(ticket, forever);
    }
  }

  std::optional<mem::Slab> lent_[2];
};

// A fresh chunk is given out and its taker dies: what it leaves is found by the next.
class Fresh final : public Homes {
 public:
  Fresh() : Homes({.slabs = 4, .chunk_slabs = 2}, Recovery::none) {
    add("plugin", kPlugin, [this] { (void)tiny_.claim(kPlugin); });
    add("host", kHost, [this] {
      auto slab = tiny_.claim(kHost);
      give_back(kHost, slab);
    });
    add("other", kOther, [this] {
      auto slab = tiny_.claim(kOther);
      give_back(kOther, slab);
    });
  }
};

}  // namespace

TEST_CASE("chunks: adopting, stealing and sweeping neither lose a slab nor give one out twice") {
  TurnOver scenario({.slabs = 4, .chunk_slabs = 2}, Recovery::by_host);
  require_holds("homes, steal, sweep", scenario, {});
  require_holds("homes, steal, sweep", scenario, {.crashes = 1});
  TurnOver uneven({.slabs = 3, .chunk_slabs = 2}, Recovery::by_host);
  require_holds("homes, a partial chunk", uneven, {.crashes = 1});
}

TEST_CASE("chunks: threads that share a home share no slab, and claim none that does not exist") {
  SharedHome even({.slabs = 4, .chunk_slabs = 2});
  require_holds("a shared home", even, {});
  SharedHome uneven({.slabs = 5, .chunk_slabs = 4});
  require_holds("a shared home, a partial chunk", uneven, {});
  LeftBehind left_behind;
  require_holds("a shared home, one thread left behind", left_behind, {});
}

TEST_CASE("chunks: a hint that a dead peer did not set loses no slab, even before its recovery") {
  TurnOver scenario({.slabs = 3, .chunk_slabs = 2}, Recovery::none);
  require_holds("hints lost", scenario, {.crashes = 1});
  Fresh fresh;
  require_holds("a fresh chunk lost", fresh, {.crashes = 1});
}

TEST_CASE(
    "chunks: a thread that waits for a slab that another peer frees is woken, also by its death") {
  ComingHome scenario(Recovery::by_host);
  require_holds("slabs coming home", scenario, {});
  require_holds("slabs coming home", scenario, {.crashes = 1});
}

}  // namespace mews::model
