// SPDX-License-Identifier: MIT
#include "model/support.hpp"
#include "model/traffic.hpp"

namespace mews::model {
namespace {

// The host sends; the plugin reads, gives back, and dies.
class DeadReceiver final : public Traffic {
 public:
  DeadReceiver(const TrafficPlan& plan, int reads) : Traffic(plan, kPlugin) {
    add(kHost, [this] { send_all(host_); });
    add(kPlugin, [this, reads] {
      for (int i = 0; i < reads; ++i) {
        const auto message = plugin_.receive();
        expect(message.has_value(), "a plugin that lives is told that all is over");
        expect_next(*message);
      }
    });
  }
};

// The plugin sends one message, closes the channel, and dies.
class Closing final : public Traffic {
 public:
  Closing() : Traffic({}, kPlugin) {
    add(kHost, [this] { receive_all(host_); });
    add(kPlugin, [this] {
      if (plugin_.send(0, plan_.bytes)) ++sent_;
      (void)plugin_.channel().close();
      has_closed_ = true;
      expect(!plugin_.channel().send({}, {}, detail::Patience::none()),
             "a closed channel takes a message");
    });
  }
  void reset() override {
    Traffic::reset();
    has_closed_ = false;
  }
  void verify() override {
    Traffic::verify();
    expect(received_ >= sent_, "a message that was sent is lost");
    if (has_closed_) expect(end_ == ErrorCode::closed, "a closed channel seems to have broken");
  }

 private:
  bool has_closed_ = false;
};

}  // namespace

TEST_CASE("channel: what a dead sender published is delivered, and the rest comes back") {
  DeadSender scenario({});
  require_holds("dead sender", scenario, {});
  require_holds("dead sender", scenario, {.crashes = 1});
  DeadSender watched({.messages = 1, .has_bystander = true});
  require_holds("dead sender, bystander", watched, {.crashes = 1});
  DeadSender at_home({.arena = {.slabs = 2, .chunk_slabs = 2}});
  require_holds("dead sender, homes", at_home, {.crashes = 1});
}

TEST_CASE("channel: what was sent to a dead receiver, and what it held, comes back") {
  DeadReceiver scenario({}, 2);
  require_holds("dead receiver", scenario, {});
  require_holds("dead receiver", scenario, {.crashes = 1});
  DeadReceiver leaving({}, 1);
  require_holds("receiver that leaves early", leaving, {.crashes = 1});
  DeadReceiver watched({.messages = 1, .has_bystander = true}, 1);
  require_holds("dead receiver, bystander", watched, {.crashes = 1});
}

TEST_CASE("channel: a sender waiting for the only slab gets it back from the dead receiver") {
  DeadReceiver scenario({.messages = 3, .arena = {.slabs = 1, .chunk_slabs = 1}}, 3);
  require_holds("one slab", scenario, {.crashes = 1});
}

TEST_CASE("channel: a dead host's messages are delivered, and its plugin does not wait for more") {
  DeadSender scenario({}, kHost);
  require_holds("dead host", scenario, {.crashes = 1});
}

TEST_CASE("channel: a close is heard after all messages, and where there is none, the death") {
  Closing scenario;
  require_holds("close", scenario, {.crashes = 1});
}

TEST_CASE("channel: a record published before its slab is in flight is found",
          "[.][publish_before_in_flight]") {
  DeadSender scenario({});
  require_found("publish before in_flight", scenario, {}, "a published message is not delivered");
}

TEST_CASE("channel: a head advanced before the slab is held is found", "[.][head_before_held]") {
  DeadSender scenario({});
  require_found("head before held", scenario, {}, "a published message is not delivered");
}

TEST_CASE("channel: a reclaim of what the host still reads is found", "[.][reclaim_of_borrowed]") {
  DeadSender scenario({});
  require_found("reclaim of borrowed slabs", scenario, {},
                "a slab that was being read was taken away");
}

TEST_CASE("channel: a sender that does not look for the receiver's death is found",
          "[.][no_look_for_death]") {
  DeadReceiver scenario({}, 1);
  require_found("no look for death", scenario, {}, "a slab stays in flight");
}

TEST_CASE("channel: a receiver that looks for a message before the sender's death is found",
          "[.][look_before_death]") {
  DeadSender scenario({});
  require_found("look before death", scenario, {}, "a published message was not delivered");
}

}  // namespace mews::model
