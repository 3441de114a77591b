// SPDX-License-Identifier: MIT
#include <optional>

#include "mews/sync/biased_count.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

/// Its steps one by one, as a thread of the checker cannot wait for another.
class Steps : public sync::BiasedCount {
 public:
  using BiasedCount::add_up;
  using BiasedCount::is_busy;
  using BiasedCount::take_bias;
};

// The first thread has the bias. It drops its references, or lends more and drops these, while the
// second drops one that the first lent it, and the owner closes the count.
class Closing final : public Scenario {
 public:
  explicit Closing(bool does_lend) : does_lend_(does_lend) {
    words_.add_object("count", count_);
    threads_.push_back({.name = "biased", .process = 0, .body = [this] {
                          if (does_lend_) {
                            use();
                            count_->add();
                            drop();
                          }
                          drop();
                        }});
    threads_.push_back({.name = "other", .process = 0, .body = [this] { drop(); }});
    threads_.push_back({.name = "owner", .process = 0, .body = [this] {
                          expect(count_->take_bias(), "the bias cannot be taken away");
                          if (!count_->is_busy()) close();
                        }});
  }
  void reset() override {
    count_.emplace();
    act_as(0);
    count_->add();
    count_->add();
    ends_ = 0;
    is_closed_ = false;
  }
  void verify() override {
    if (!is_closed_) {
      expect(!count_->is_busy(), "nobody is in the middle of a change, and still it is busy");
      close();
    }
    expect(ends_ == 1, "nobody ends the object");
  }

 private:
  void use() { expect(ends_ == 0, "an object is used that has been ended"); }
  void end_if(bool is_last) {
    if (!is_last) return;
    use();
    ++ends_;
  }
  void drop() {
    use();
    end_if(count_->drop());
  }
  void close() {
    is_closed_ = true;
    end_if(count_->add_up());
  }

  bool does_lend_;
  std::optional<Steps> count_;
  int ends_ = 0;
  bool is_closed_ = false;
};

}  // namespace

TEST_CASE("biased count: exactly one ends the object, and nobody uses it afterwards") {
  Closing dropped(false);
  require_holds("biased count, dropped", dropped, {.memory = Memory::buffered_heavy});
  Closing lent(true);
  require_holds("biased count, lent and dropped", lent, {.memory = Memory::buffered_heavy});
}

TEST_CASE("biased count: a change whose thread does not look after it said so is found",
          "[.][no_look_after_busy_count]") {
  Closing dropped(false);
  require_found("no look after busy", dropped, {.memory = Memory::buffered_heavy},
                "nobody ends the object");
}

TEST_CASE("biased count: a bias taken away without a fence is found",
          "[.][no_fence_for_the_count]") {
  Closing dropped(false);
  require_found("no fence for the count", dropped, {.memory = Memory::buffered_heavy},
                "nobody ends the object");
}

}  // namespace mews::model
