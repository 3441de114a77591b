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
    host_.expect_all_received();
    expect(received_ == 2 || (received_ == 0 && sent_ == 0), "half a batch was delivered");
    Traffic::verify();
  }
};

// A lap that ends early, and the next, which runs into the filler that leads to it and goes on
// behind that.
class Jump final : public Traffic {
 public:
  Jump() : Traffic({.messages = 4, .bytes = 288, .messages_before = 3}, kPlugin) {
    add(kHost, [this] { receive_all(host_); });
    add(kPlugin, [this] { send_all(plugin_); });
  }
  void verify() override {
    host_.expect_all_received();
    expect(received_ >= sent_, "a message that was sent is lost");
    const auto cells = tiny_.arena().cells(kToHost);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const auto mark = cells[i].mark.load(std::memory_order_relaxed);
      const auto kind = static_cast<layout::RecordKind>(mark >> 4 & 0xf);
      if (kind != layout::RecordKind::filler) continue;
      const auto next = (i + (cells[i].extent & layout::kMaxPayloadBytes)) % cells.size();
      has_jumped_ = has_jumped_ || next != 0;
    }
  }
  [[nodiscard]] bool has_jumped() const { return has_jumped_; }

 private:
  bool has_jumped_ = false;
};

constexpr const char* kHostSleeps = "host sleeps for ever on to_host.data_bell";

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

TEST_CASE("lane: records are delivered once and in order where a lap ends early") {
  DeadSender early({.bytes = 288, .messages_before = 2});
  require_holds("short lap", early, {.crashes = 1});
}

TEST_CASE("lane: a lap goes on behind the unread rest of the one before") {
  Jump scenario;
  require_holds("jump", scenario, {.crashes = 1});
  REQUIRE(scenario.has_jumped());
}

TEST_CASE("lane: a wake word read after the check loses a wake-up", "[.][wake_word_after_check]") {
  DeadSender traffic({.messages = 4, .bytes = kMostInlineBytes});
  require_found("wake word after the check", traffic, {}, kHostSleeps);
}

TEST_CASE("lane: a missing second look loses a wake-up", "[.][no_second_look]") {
  DeadSender traffic({.messages = 4, .bytes = kMostInlineBytes});
  require_found("no second look", traffic, {}, kHostSleeps);
}

TEST_CASE("lane: ringing only armed bells for the dead loses the wake-up that it owed",
          "[.][only_armed_bells_for_the_dead]") {
  DeadSender traffic({.messages = 4, .bytes = kMostInlineBytes});
  require_found("only armed bells for the dead", traffic, {.crashes = 1}, kHostSleeps);
}

}  // namespace mews::model
