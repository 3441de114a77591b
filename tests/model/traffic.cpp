// SPDX-License-Identifier: MIT
#include "model/traffic.hpp"

namespace mews::model {

Traffic::Traffic(const TrafficPlan& plan, int mortal) : plan_(plan), mortal_(mortal) {
  const int survivor = mortal == kPlugin ? kHost : kPlugin;
  threads_ = {{.name = "watcher",
               .process = survivor,
               .body = [this, survivor] { process(survivor).on_death(); },
               .recovers = mortal}};
  if (!plan.has_bystander) return;
  threads_.push_back({.name = "other", .process = kOther, .body = [this] {
                        if (auto slab = tiny_.claim(kOther)) {
                          expect(tiny_.release(kOther, *slab), "the bystander lost its slab");
                          (void)sync::Doorbell(tiny_.arena().pool().freed_bell[0])
                              .ring(sync::RingFence::after_exchange);
                        }
                      }});
}

void Traffic::add(int peer, std::function<void()> body) {
  threads_.push_back({.name = peer == kHost ? "host" : "plugin",
                      .process = peer,
                      .body = std::move(body),
                      .may_crash = peer == mortal_});
}

void Traffic::reset() {
  tiny_.reset();
  host_.reset();
  plugin_.reset();
  sent_ = received_ = 0;
  end_.reset();
  for (int i = 0; i < plan_.messages_before; ++i) {
    (void)plugin_.send(0, plan_.bytes);
    (void)host_.receive();
  }
}

void Traffic::verify() {
  if (mortal_ != kPlugin) return;  // nobody repairs after the host: the arena ends with its last
  tiny_.expect_sound();
  tiny_.expect_whole(kHost);
}

void Traffic::send_all(Process& sender) {
  for (int i = 0; i < plan_.messages; ++i) {
    if (!sender.send(static_cast<std::uint64_t>(i), plan_.bytes)) return;
    ++sent_;
  }
}

void Traffic::expect_next(const Message& message) {
  expect(message.correlation() == received_, "a message came twice or out of order");
  ++received_;
}

void Traffic::receive_all(Process& receiver) {
  Message kept;
  for (;;) {
    auto message = receiver.receive();
    if (received_ > 0) receiver.expect_intact(kept);
    if (!message) {
      end_ = message.error().code();
      return;
    }
    expect_next(*message);
    kept = std::move(*message);
  }
}

DeadSender::DeadSender(const TrafficPlan& plan, int sender) : Traffic(plan, sender) {
  add(kHost, [this, sender] { sender == kHost ? send_all(host_) : receive_all(host_); });
  add(kPlugin, [this, sender] { sender == kPlugin ? send_all(plugin_) : receive_all(plugin_); });
}

void DeadSender::verify() {
  process(mortal_ == kPlugin ? kHost : kPlugin).expect_all_received();
  expect(received_ >= sent_, "a message that was sent is lost");
  Traffic::verify();
}

}  // namespace mews::model
