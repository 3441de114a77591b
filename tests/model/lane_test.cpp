// SPDX-License-Identifier: MIT
#include "model/support.hpp"
#include "model/traffic.hpp"

namespace mews::model {
namespace {

// The plugin publishes two messages together.
class Batch final : public Traffic {
 public:
  explicit Batch(const TrafficPlan& plan) : Traffic(plan, kPlugin) {
    add(kHost, [this] {
      while (host_.receive())
        ++received_;
    });
    add(kPlugin, [this] {
      Loan loans[2];
      for (auto& loan : loans) {
        loan = *plugin_.loan(plan_.bytes);
        write_payload(loan, 0);
      }
      const auto sent = plugin_.channel().try_send_batch(loans, {});
      expect(sent && *sent == 2, "a lane with room for a batch refuses it");
      sent_ = 2;
    });
  }
  void verify() override {
    Traffic::verify();
    host_.expect_all_received();
    expect(received_ == 2 || (received_ == 0 && sent_ == 0), "half a batch was delivered");
  }
};

}  // namespace

TEST_CASE("lane: whoever sleeps for data or for space is woken, also by a death") {
  DeadSender scenario({.messages = 4, .bytes = kMostInlineBytes});
  require_holds("sleep and wake", scenario, {});
  require_holds("sleep and wake", scenario, {.crashes = 1});
}

TEST_CASE("lane: a batch is delivered whole or not at all") {
  Batch of_records({.bytes = 100});
  require_holds("batch", of_records, {.crashes = 1});
  Batch of_slabs({});
  require_holds("batch of slabs", of_slabs, {.crashes = 1});
}

TEST_CASE("lane: records that wrap with a filler are delivered once and in order") {
  DeadSender scenario({.messages = 3, .bytes = 288, .messages_before = 5});
  require_holds("wrap with filler", scenario, {.crashes = 1});
}

}  // namespace mews::model
