// SPDX-License-Identifier: MIT
#include <chrono>
#include <optional>

#include "mews/sync/turn.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

enum class Leaver { none, stopped, late };

// Threads of one process take turns. One more gives up at some moment: by a stop or its deadline.
class InTurn final : public Scenario {
 public:
  InTurn(int takers, Leaver leaver) : takers_(takers) {
    words_.add_object("turn", turn_);
    for (int i = 0; i < takers; ++i) {
      threads_.push_back({.name = "taker" + std::to_string(i + 1), .process = 0, .body = [this] {
                            const auto turned = turn_->enter(forever, [] { return false; });
                            expect(turned == sync::Turned::entered, "a wait without an end ended");
                            be_inside();
                            ++taken_;
                          }});
    }
    if (leaver == Leaver::none) return;
    const auto deadline =
        leaver == Leaver::late ? Deadline(std::chrono::hours(1)) : Deadline(forever);
    threads_.push_back({.name = "leaver", .process = 0, .body = [this, deadline] {
                          const auto turned = turn_->enter(deadline, [this] {
                            return is_stopped_.load(std::memory_order_relaxed);
                          });
                          if (turned == sync::Turned::entered) be_inside();
                        }});
    threads_.push_back({.name = "ender", .process = 0, .body = [this, leaver] {
                          if (leaver == Leaver::late) return pass_deadlines();
                          is_stopped_.store(true, std::memory_order_relaxed);
                          turn_->interrupt();
                        }});
  }
  void reset() override {
    turn_.emplace();
    is_stopped_.store(false, std::memory_order_relaxed);
    inside_ = taken_ = 0;
  }
  void verify() override { expect(taken_ == takers_, "a thread never got its turn"); }

 private:
  void be_inside() {
    expect(++inside_ == 1, "it is two threads' turn");
    point("in its turn");
    expect(--inside_ == 0, "it is two threads' turn");
    turn_->leave();
  }

  int takers_;
  std::optional<sync::Turn> turn_;
  base::LocalAtomic<bool> is_stopped_{false};
  int inside_ = 0;
  int taken_ = 0;
};

}  // namespace

TEST_CASE("turn: each thread gets it, one at a time") {
  InTurn two(2, Leaver::none);
  require_holds("turn, two", two, {});
  InTurn three(3, Leaver::none);
  require_holds("turn, three", three, {});
}

TEST_CASE("turn: a thread that gives up takes nobody's turn with it, and is not left asleep") {
  InTurn stopped(2, Leaver::stopped);
  require_holds("turn, one of three is stopped", stopped, {});
  InTurn late(2, Leaver::late);
  require_holds("turn, one of three is late", late, {});
}

TEST_CASE("turn: a taker that does not say that it waits is found", "[.][turn_without_waiters]") {
  InTurn two(2, Leaver::none);
  require_found("turn without waiters", two, {}, "taker2 sleeps for ever on turn");
}

}  // namespace mews::model
