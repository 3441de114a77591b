// SPDX-License-Identifier: MIT
#include <optional>

#include "mews/sync/role.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

/// Entries in a row after which a thread has the bias.
constexpr int kEntries = 16;

// The role is biased to the first thread. It enters, while the second takes the bias away, or, if
// it has entered often enough before, is about to have it.
class Bias final : public Scenario {
 public:
  explicit Bias(int entries_of_second) : entries_of_second_(entries_of_second) {
    words_.add_object("role", role_);
    for (const char* name : {"first", "second"}) {
      threads_.push_back({.name = name, .process = 0, .body = [this] {
                            enter();
                            enter();
                          }});
    }
  }
  void reset() override {
    role_.emplace();
    act_as(0);
    enter_and_leave(kEntries);
    act_as(1);
    enter_and_leave(entries_of_second_);
    inside_ = 0;
  }
  void verify() override {
    for (const int thread : {1, 0}) {
      act_as(thread);
      const sync::RoleGuard inside(*role_);
      expect(static_cast<bool>(inside), "nobody is inside, and still nobody may enter");
      expect(role_->try_enter() == nullptr, "a thread enters twice");
    }
  }

 private:
  void enter() {
    const sync::RoleGuard role(*role_);
    if (!role) return;
    expect(++inside_ == 1, "two threads are inside");
    point("inside");
    expect(--inside_ == 0, "two threads are inside");
  }
  void enter_and_leave(int count) {
    for (int i = 0; i < count; ++i)
      const sync::RoleGuard inside(*role_);
  }

  int entries_of_second_;
  std::optional<sync::Role> role_;
  int inside_ = 0;
};

}  // namespace

TEST_CASE("role: of two threads one is inside, while a bias is taken away and given") {
  Bias exclusive(1);  // has taken it away before
  require_holds("role without a bias", exclusive, {.memory = Memory::buffered_heavy});
  Bias biased(0);
  require_holds("role, bias taken away", biased, {.memory = Memory::buffered_heavy});
  Bias to_be_given(kEntries - 1);
  require_holds("role, bias given", to_be_given, {.memory = Memory::buffered_heavy});
  Bias given(kEntries);
  require_holds("role, second bias", given, {.memory = Memory::buffered_heavy});
}

TEST_CASE("role: an owner that does not look after it set its flag is found",
          "[.][no_look_after_busy]") {
  Bias biased(0);
  require_found("no look after busy", biased, {.memory = Memory::buffered_heavy},
                "two threads are inside");
}

TEST_CASE("role: a bias taken away without a fence is found", "[.][no_fence_for_the_bias]") {
  Bias biased(0);
  require_found("no fence for the bias", biased, {.memory = Memory::buffered_heavy},
                "two threads are inside");
}

}  // namespace mews::model
