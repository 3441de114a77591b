// SPDX-License-Identifier: MIT
#include <optional>
#include <stop_token>
#include <vector>

#include "model/process.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

enum class Waits { for_a_message, for_room, for_a_slab };

// A thread of the host waits for what never comes, until another one of its threads requests a
// stop. Where it waits for a slab, a third waits as well, with no token: it gets the slab in the
// end.
class Stopped final : public Scenario {
 public:
  explicit Stopped(Waits waits, bool is_disturbed = false) : waits_(waits) {
    threads_.push_back({.name = "waiter", .process = kHost, .body = [this] {
                          expect(wait() == ErrorCode::cancelled,
                                 "a wait ended, but not by its stop");
                          has_ended_ = true;
                        }});
    threads_.push_back({.name = "stopper", .process = kHost, .body = [this] {
                          point("the request");
                          source_->request_stop();
                          if (waits_ == Waits::for_a_slab) plugin_.session().pool().release(slab_);
                        }});
    if (waits == Waits::for_a_slab) {
      threads_.push_back({.name = "patient", .process = kHost, .body = [this] {
                            mem::Slab slab;
                            (void)host_.session().claim(slab, kSlabBytes, Timeout(forever));
                          }});
    }
    if (is_disturbed) {
      threads_.push_back({.name = "plugin", .process = kPlugin, .body = [this] {
                            (void)sync::Doorbell(tiny_.arena().lane(kToHost).data_bell)
                                .ring(sync::RingFence::full);
                          }});
    }
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    source_.emplace();
    has_ended_ = false;
    if (waits_ == Waits::for_a_slab) {
      (void)plugin_.session().claim(slab_, kSlabBytes, Timeout::none());
    }
    while (waits_ == Waits::for_room && host_.channel().send(filling(), {}, Timeout::none())) {
    }
  }
  void verify() override { expect(has_ended_, "a wait goes on though it was stopped"); }

 private:
  using Timeout = detail::Timeout;

  [[nodiscard]] std::span<const std::byte> filling() const { return filling_; }

  std::optional<ErrorCode> wait() {
    const auto token = source_->get_token();
    const Timeout timeout(forever, token);
    if (waits_ == Waits::for_a_message) {
      Result<Message> message;
      host_.channel().receive(message, timeout);
      return message ? std::nullopt : std::optional(message.error().code());
    }
    if (waits_ == Waits::for_room) {
      const auto sent = host_.channel().send(filling(), {}, timeout);
      return sent ? std::nullopt : std::optional(sent.error().code());
    }
    mem::Slab slab;
    const auto claimed = host_.session().claim(slab, kSlabBytes, timeout);
    if (!claimed) return claimed.error().code();
    // The stopper gave it back before this thread looked again: then it is had, and passed on.
    host_.session().pool().release(slab);
    return ErrorCode::cancelled;
  }

  Waits waits_;
  TinyArena tiny_{{.slabs = 1, .chunk_slabs = 1}, words_};
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  std::optional<std::stop_source> source_;
  mem::Slab slab_;
  std::vector<std::byte> filling_ = std::vector<std::byte>(kMostInlineBytes);
  bool has_ended_ = false;
};

}  // namespace

TEST_CASE("stop: a wait ends whenever the stop comes: before it arms, then, or while it sleeps") {
  Stopped receiving(Waits::for_a_message);
  require_holds("stop, for a message", receiving, {});
  Stopped disturbed(Waits::for_a_message, true);
  require_holds("stop, for a message, disturbed", disturbed, {});
  Stopped sending(Waits::for_room);
  require_holds("stop, for room", sending, {});
}

TEST_CASE("stop: at the gate it ends one thread's wait, whoever has the lead") {
  Stopped lending(Waits::for_a_slab);
  require_holds("stop, for a slab", lending, {});
}

TEST_CASE("stop: a token that is looked at before arming is found", "[.][stop_before_arm]") {
  Stopped receiving(Waits::for_a_message);
  require_found("stop looked at before arming", receiving, {},
                "waiter sleeps for ever on to_host.data_bell");
}

}  // namespace mews::model
