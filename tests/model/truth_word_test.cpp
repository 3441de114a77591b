// SPDX-License-Identifier: MIT
#include "model/process.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

/// The third peer.
enum class Other : std::uint8_t { absent, there, may_die };

// Three peers claim from two slabs and give them back; the plugin may be killed anywhere. A class
// without homes, so that all meet at the first slab.
class Contention final : public Scenario {
 public:
  explicit Contention(Other other) {
    threads_ = {{.name = "host", .process = kHost, .body = [this] { turn_over(kHost); }},
                {.name = "plugin",
                 .process = kPlugin,
                 .body = [this] { turn_over(kPlugin); },
                 .may_crash = true},
                {.name = "watcher",
                 .process = kHost,
                 .body = [this] { host_.on_death(); },
                 .recovers = kPlugin}};
    if (other != Other::absent) {
      threads_.push_back({.name = "other",
                          .process = kOther,
                          .body = [this] { turn_over(kOther); },
                          .may_crash = other == Other::may_die});
    }
    if (other == Other::may_die) {
      threads_.push_back({.name = "watcher2",
                          .process = kHost,
                          .body = [this] { host_to_other_.on_death(); },
                          .recovers = kOther});
    }
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    host_to_other_.reset();
  }
  void verify() override {
    tiny_.expect_sound();
    tiny_.expect_whole(kHost);
  }

 private:
  void turn_over(int peer) {
    auto first = tiny_.claim(peer);
    auto second = tiny_.claim(peer);
    if (first) give_back(peer, *first);
    if (second) give_back(peer, *second);
  }
  void give_back(int peer, const mem::Slab& slab) {
    expect(tiny_.release(peer, slab), "a slab that was held could not be released");
  }

  TinyArena tiny_{{.slabs = 2, .chunk_slabs = 1}, words_};
  Process host_{tiny_, words_, kHost, kPlugin};
  Process host_to_other_{tiny_, words_, kHost, kOther};
};

// Two threads release the same slab, while another peer waits for it to become free.
class DoubleFree final : public Scenario {
 public:
  DoubleFree() {
    const auto release = [this] { released_ += tiny_.pool(kHost).release(*slab_) ? 1 : 0; };
    threads_ = {{.name = "first", .process = kHost, .body = release},
                {.name = "second", .process = kHost, .body = release},
                {.name = "plugin", .process = kPlugin, .body = [this] {
                   claimed_ = claim_one(tiny_.pool(kPlugin));
                 }}};
  }
  void reset() override {
    tiny_.reset();
    slab_ = claim_one(tiny_.pool(kHost));
    claimed_.reset();
    released_ = 0;
  }
  void verify() override {
    expect(released_ == 1, "a slab was released twice");
    if (!claimed_) return;
    const auto word = tiny_.view().words[0].load(std::memory_order_relaxed);
    expect(word == claimed_->word, "a slab was freed under its new holder");
  }

 private:
  TinyArena tiny_{{.slabs = 1, .chunk_slabs = 1}, words_};
  std::optional<mem::Slab> slab_;
  std::optional<mem::Slab> claimed_;
  int released_ = 0;
};

}  // namespace

TEST_CASE("truth word: no slab is held by two or lost, whoever of two or three dies") {
  Contention two(Other::absent);
  require_holds("claim and release, two peers", two, {});
  require_holds("claim and release, two peers", two, {.crashes = 1});
  Contention three(Other::there);
  require_holds("claim and release, three peers", three, {.crashes = 1});
}

TEST_CASE("truth word: two deaths are repaired while they are being repaired") {
  Contention scenario(Other::may_die);
  require_holds("two deaths", scenario, {.most_preemptions = 2, .crashes = 2});
}

TEST_CASE("truth word: of two releases of one slab one succeeds") {
  DoubleFree scenario;
  require_holds("double release", scenario, {});
}

TEST_CASE("truth word: a free that checks and then stores is found", "[.][check_then_store_free]") {
  DoubleFree scenario;
  require_found("check-then-store free", scenario, {}, "a slab was released twice");
}

TEST_CASE("truth word: a claim that writes the owner after the pop is found",
          "[.][owner_after_pop]") {
  Contention scenario(Other::absent);
  require_found("owner after the pop", scenario, {.crashes = 1},
                "a slab is held by a peer that does not know it");
}

}  // namespace mews::model
