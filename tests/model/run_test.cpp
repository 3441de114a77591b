// SPDX-License-Identifier: MIT
#include "model/process.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

constexpr std::uint64_t kRunBytes = 2 * 4096;

/// What host and plugin do with runs.
enum class Use : std::uint8_t { claim, send };

// Runs of two slabs out of three: claimed by host and plugin at once, sent by the plugin, who may
// be killed with half a run in its hands or half of it in flight.
class Runs final : public Scenario {
 public:
  explicit Runs(Use use) {
    threads_ = {{.name = "host",
                 .process = kHost,
                 .body = [this, use] { use == Use::send ? receive_all() : turn_over(kHost); }},
                {.name = "plugin",
                 .process = kPlugin,
                 .body = [this, use] { use == Use::send ? send_one() : turn_over(kPlugin); },
                 .may_crash = true},
                {.name = "watcher",
                 .process = kHost,
                 .body = [this] { host_.on_death(); },
                 .recovers = kPlugin}};
    if (use == Use::claim) return;
    threads_.push_back({.name = "other", .process = kOther, .body = [this] {
                          if (auto slab = tiny_.claim(kOther)) give_back(kOther, *slab);
                        }});
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    runs_ = 0;
    sent_ = received_ = 0;
  }
  void verify() override {
    tiny_.expect_sound();
    tiny_.expect_whole(kHost);
    host_.expect_all_received();
    expect(received_ >= sent_, "a message that was sent is lost");
  }

 protected:
  [[nodiscard]] std::optional<mem::Slab> claim_run(int peer) {
    auto run = mews_test::try_claim(tiny_.pool(peer), kRunBytes);
    if (!run) return std::nullopt;
    tiny_.knows(peer, *run);
    ++runs_;
    return *run;
  }
  void give_back(int peer, const mem::Slab& slab) {
    expect(tiny_.release(peer, slab), "a run that was held could not be released");
    (void)sync::Doorbell(tiny_.arena().pool().freed_bell[0]).ring(sync::RingFence::after_exchange);
  }
  void turn_over(int peer) {
    if (auto run = claim_run(peer)) give_back(peer, *run);
  }
  void send_one() {
    Result<Loan> run;
    plugin_.channel().loan(run, kRunBytes, detail::Timeout::none());
    if (!run) return;
    write_payload(*run, 0);
    if (plugin_.channel().send(*run, {}, detail::Timeout(forever))) ++sent_;
  }
  void receive_all() {
    while (const auto message = host_.receive()) {
      ++received_;
      expect(message->size() == kRunBytes, "a run arrives short");
    }
  }

  TinyArena tiny_{{.slabs = 3, .chunk_slabs = 1}, words_};
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  int runs_ = 0;
  std::uint32_t sent_ = 0;
  std::uint32_t received_ = 0;
};

// Two runs that meet: nobody else holds a slab and nobody dies, so one of them goes on.
class Meeting final : public Scenario {
 public:
  Meeting() {
    for (const int peer : {kHost, kPlugin}) {
      threads_.push_back(
          {.name = peer == kHost ? "host" : "plugin", .process = peer, .body = [this, peer] {
             if (mews_test::try_claim(tiny_.pool(peer), kRunBytes)) ++runs_;
           }});
    }
  }
  void reset() override {
    tiny_.reset();
    runs_ = 0;
  }
  void verify() override { expect(runs_ > 0, "two runs that met both failed"); }

 private:
  TinyArena tiny_{{.slabs = 3, .chunk_slabs = 1}, words_};
  int runs_ = 0;
};

}  // namespace

TEST_CASE("runs: of two that meet one goes on") {
  Meeting scenario;
  require_holds("two runs", scenario, {});
}

TEST_CASE("runs: half a run claimed or in flight comes back from its dead sender") {
  Runs claimed(Use::claim);
  require_holds("runs claimed", claimed, {.crashes = 1});
  Runs sent(Use::send);
  require_holds("a run sent", sent, {.crashes = 1});
}

}  // namespace mews::model
