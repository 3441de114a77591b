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
      expect(!plugin_.channel().send({}, {}, detail::Timeout::none()),
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

// One end sends on; the other receives some, and leaves. Both processes live.
class Leaving final : public Scenario {
 public:
  Leaving(int leaver, int reads) {
    auto& sender = leaver == kHost ? plugin_ : host_;
    auto& reader = leaver == kHost ? host_ : plugin_;
    threads_ = {{.name = "sender",
                 .process = sender.peer(),
                 .body =
                     [this, &sender] {
                       while (sender.send(0, kMostInlineBytes))
                         expect(++sent_ < 100,
                                "a lane that nobody reads takes messages without end");
                     }},
                {.name = "reader", .process = reader.peer(), .body = [&reader, reads] {
                   for (int i = 0; i < reads; ++i)
                     expect(reader.receive().has_value(), "a published message is not delivered");
                   reader.channel().leave();
                 }}};
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    sent_ = 0;
  }
  void verify() override {}

 private:
  TinyArena tiny_{{.slabs = 2, .chunk_slabs = 1}, words_};
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  int sent_ = 0;
};

// The host has all slabs and ends its session, while a plugin waits for one.
class HostLeaving final : public Scenario {
 public:
  HostLeaving() {
    threads_ = {
        {.name = "lender",
         .process = kPlugin,
         .body =
             [this] { expect(!plugin_.loan(kSlabBytes), "a slab was lent that the host has"); }},
        {.name = "host", .process = kHost, .body = [this] { host_.session().leave(); }}};
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    (void)host_.session().claim(slab_, kSlabBytes, detail::Timeout::none());
  }
  void verify() override {}

 private:
  TinyArena tiny_{{.slabs = 1, .chunk_slabs = 1}, words_};
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  mem::Slab slab_;
};

}  // namespace

TEST_CASE("channel: a sender that waits for room while the reader leaves never sleeps for ever") {
  Leaving plugin(kPlugin, 0);
  require_holds("plugin leaves a waiting sender", plugin, {});
  Leaving after_one(kPlugin, 1);
  require_holds("plugin reads and leaves", after_one, {});
  Leaving host(kHost, 1);
  require_holds("host reads and leaves", host, {});
}

TEST_CASE("channel: a plugin that waits for a slab while the host leaves never sleeps for ever") {
  HostLeaving scenario;
  require_holds("host leaves one that waits for a slab", scenario, {});
}

TEST_CASE("channel: a reader that says that it has left after it rings is found",
          "[.][reader_left_after_bell]") {
  Leaving scenario(kPlugin, 0);
  require_found("reader_left after the bell", scenario, {},
                "sender sleeps for ever on to_plugin.space_bell");
}

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
  require_found("head before held", scenario, {}, "a message that was sent is lost");
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
