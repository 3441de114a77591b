// SPDX-License-Identifier: MIT
#include "model/channel_steps.hpp"
#include "model/mutants.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

struct TrafficPlan {
  int messages = 2;
  std::uint32_t slabs = 2;
  std::uint32_t chunk_slabs = 1;
  bool has_bystander = false;  ///< a third process that claims and releases meanwhile
};

// What both directions share: the ends, the watcher who repairs after the plugin, a bystander.
template <class Policy>
class Traffic : public Scenario {
 public:
  explicit Traffic(const TrafficPlan& plan)
      : plan_(plan), tiny_({.slabs = plan.slabs, .chunk_slabs = plan.chunk_slabs}, words_) {
    words_.add("host.partner_is_dead", &host_.partner_is_dead);
    words_.add("plugin.partner_is_dead", &plugin_.partner_is_dead);
    threads_ = {{.name = "watcher",
                 .process = kHost,
                 .body = [this] { recover<Policy>(host_); },
                 .recovers = kPlugin}};
    if (!plan.has_bystander) return;
    threads_.push_back({.name = "other", .process = kOther, .body = [this] {
                          if (auto slab = tiny_.claim(kOther)) {
                            expect(tiny_.release(kOther, *slab), "the bystander lost its slab");
                            (void)host_.freed().ring(sync::RingFence::full);
                          }
                        }});
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    received_ = 0;
  }
  void verify() override {
    tiny_.expect_sound();
    tiny_.expect_whole(kHost);
  }

 protected:
  [[nodiscard]] mem::Slab claim_blocking(End& end) {
    for (;;) {
      std::optional<mem::Slab> slab = tiny_.claim(end.self);
      if (slab) return *slab;
      Policy::sleep(end.freed(), [&] { return (slab = tiny_.claim(end.self)).has_value(); });
      if (slab) return *slab;
    }
  }
  void send_all(End& end) {
    for (int i = 0; i < plan_.messages; ++i) {
      auto slab = claim_blocking(end);
      if (!send_slab<Policy>(end, slab, end.published)) {
        (void)end.freed().ring(sync::RingFence::full);
        return;
      }
    }
  }
  void expect_next(const Received& received) {
    expect(received.correlation == received_, "a message came twice or out of order");
    ++received_;
  }

  TrafficPlan plan_;
  TinyArena tiny_;
  End host_{tiny_, kHost, kToPlugin, kToHost, 16};
  End plugin_{tiny_, kPlugin, kToHost, kToPlugin, 16};
  std::uint32_t received_ = 0;
};

// The plugin sends and dies; the host reads until it is told so, and keeps the first message
// borrowed for as long as it can.
template <class Policy>
class DeadSender final : public Traffic<Policy> {
 public:
  explicit DeadSender(const TrafficPlan& plan) : Traffic<Policy>(plan) {
    this->threads_.push_back({.name = "host", .process = kHost, .body = [this] { receive_all(); }});
    this->threads_.push_back({.name = "plugin",
                              .process = kPlugin,
                              .body = [this] { this->send_all(this->plugin_); },
                              .may_crash = true});
  }
  void verify() override {
    Traffic<Policy>::verify();
    expect(this->received_ == this->plugin_.published, "not every published message was delivered");
  }

 private:
  void receive_all() {
    std::optional<Received> borrowed;
    for (;;) {
      const auto received = receive<Policy>(this->host_);
      if (received.got == Got::died) break;
      this->expect_next(received);
      if (borrowed) read_and_release(this->host_, *borrowed);
      borrowed = received;
    }
    if (borrowed) read_and_release(this->host_, *borrowed);
  }
};

// The host sends; the plugin reads, gives back, and dies.
template <class Policy>
class DeadReceiver final : public Traffic<Policy> {
 public:
  DeadReceiver(const TrafficPlan& plan, int reads) : Traffic<Policy>(plan) {
    this->threads_.push_back(
        {.name = "host", .process = kHost, .body = [this] { this->send_all(this->host_); }});
    this->threads_.push_back({.name = "plugin",
                              .process = kPlugin,
                              .body =
                                  [this, reads] {
                                    for (int i = 0; i < reads; ++i) {
                                      const auto received = receive<Policy>(this->plugin_);
                                      this->expect_next(received);
                                      read_and_release(this->plugin_, received);
                                    }
                                  },
                              .may_crash = true});
  }
};

// The host sends and dies; the plugin reads until it is told so.
class DeadHost final : public Scenario {
 public:
  DeadHost() {
    threads_ = {
        {.name = "host", .process = kHost, .body = [this] { send_two(); }, .may_crash = true},
        {.name = "plugin", .process = kPlugin, .body = [this] { receive_all(); }},
        {.name = "watcher",
         .process = kPlugin,
         .body = [this] { give_up<Real>(plugin_); },
         .recovers = kHost}};
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    received_ = 0;
  }
  void verify() override {
    expect(received_ == host_.published, "not every published message was delivered");
  }

 private:
  void send_two() {
    for (int i = 0; i < 2; ++i) {
      (void)send_slab<Real>(host_, *tiny_.claim(kHost), host_.published);
    }
  }
  void receive_all() {
    for (;;) {
      const auto received = receive<Real>(plugin_);
      if (received.got == Got::died) return;
      expect(received.correlation == received_++, "a message came twice or out of order");
      read_and_release(plugin_, received);
    }
  }

  TinyArena tiny_{{.slabs = 2, .chunk_slabs = 1}, words_};
  End host_{tiny_, kHost, kToPlugin, kToHost, 16};
  End plugin_{tiny_, kPlugin, kToHost, kToPlugin, 16};
  std::uint32_t received_ = 0;
};

}  // namespace

TEST_CASE("channel: what a dead sender published is delivered, and the rest comes back") {
  DeadSender<Real> scenario({});
  require_holds("dead sender", scenario, {});
  require_holds("dead sender", scenario, {.crashes = 1});
  DeadSender<Real> watched({.messages = 1, .has_bystander = true});
  require_holds("dead sender, bystander", watched, {.crashes = 1});
  DeadSender<Real> at_home({.messages = 2, .slabs = 2, .chunk_slabs = 2});
  require_holds("dead sender, homes", at_home, {.crashes = 1});
}

TEST_CASE("channel: what was sent to a dead receiver, and what it held, comes back") {
  DeadReceiver<Real> scenario({}, 2);
  require_holds("dead receiver", scenario, {});
  require_holds("dead receiver", scenario, {.crashes = 1});
  DeadReceiver<Real> leaving({}, 1);
  require_holds("receiver that leaves early", leaving, {.crashes = 1});
  DeadReceiver<Real> watched({.messages = 1, .has_bystander = true}, 1);
  require_holds("dead receiver, bystander", watched, {.crashes = 1});
}

TEST_CASE("channel: a sender waiting for the only slab gets it back from the dead receiver") {
  DeadReceiver<Real> scenario({.messages = 3, .slabs = 1}, 3);
  require_holds("one slab", scenario, {.crashes = 1});
}

TEST_CASE("channel: a dead host's messages are delivered, and its plugin does not wait for more") {
  DeadHost scenario;
  require_holds("dead host", scenario, {.crashes = 1});
}

TEST_CASE("channel: a record published before its slab is in flight is found") {
  DeadSender<PublishBeforeInFlight> scenario({});
  require_found("publish before in_flight", scenario, {});
}

TEST_CASE("channel: a head advanced before the slab is held is found") {
  DeadSender<AdvanceBeforeHeld> scenario({});
  require_found("head before held", scenario, {});
}

TEST_CASE("channel: a reclaim of what the host still reads is found") {
  DeadSender<ReclaimOfBorrowed> scenario({});
  require_found("reclaim of borrowed slabs", scenario, {});
}

TEST_CASE("channel: a sender that does not look for the receiver's death is found") {
  DeadReceiver<NoLookForDeath> scenario({}, 1);
  require_found("no look for death", scenario, {});
}

}  // namespace mews::model
