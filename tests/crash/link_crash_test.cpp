// SPDX-License-Identifier: MIT
#include "crash/link_death.hpp"
#include "crash/link_scenarios.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// A plugin is killed before the k-th change that others can see while it answers calls, or makes
// them. Each call of the host ends once, says truly whether it was begun, and no slab is lost.
namespace {

using namespace mews_test;
using plugin::LinkRequest;

/// Room for five calls at once.
constexpr std::uint32_t kLinkCells = 256;

struct HostCalls {
  mews::Link link;
  VictimLog& log;
  std::string problem{};

  void add_problem(const std::string& text) {
    if (problem.empty()) problem = text;
  }

  /// Judges the outcome of the host's call number `number`, counted in the order of their starts.
  void judge(std::uint64_t number, LinkRequest type, const mews::Result<mews::Message>& reply) {
    const auto name = "call " + std::to_string(number) + ": ";
    if (reply) {
      if (type == plugin::kRefuse || type == plugin::kDropIt) return add_problem(name + "answered");
      const bool is_right = type == plugin::kAskBack
                                ? reply->size() == 0
                                : reply->size() == plugin::call_payload(number).size() &&
                                      !fault_of(reply->bytes(), number);
      if (!is_right) add_problem(name + "another reply");
      return;
    }
    const auto& why = reply.error();
    if (type == plugin::kRefuse && why.code() == mews::ErrorCode::failed) return;
    if (type == plugin::kDropIt && why.code() == mews::ErrorCode::unanswered) return;
    if (why.code() != mews::ErrorCode::peer_died) return add_problem(name + why.message());
    // It is said to be begun just before the program has it, and knows.
    const auto begun = log.begun.load();
    if (why.was_started() ? number > begun : number < begun) {
      add_problem(name + (why.was_started() ? "begun, " : "not begun, ") + "after " +
                  std::to_string(begun) + " were taken: " + why.message());
    }
    if (number < log.sent.load()) add_problem(name + "its answer was sent, and is lost");
  }

  /// Several open at once, of every kind.
  void call_all() {
    using namespace plugin;
    struct Started {
      std::uint64_t number;
      LinkRequest type;
      mews::PendingReply reply;
    };
    std::uint64_t number = 0;
    for (const auto type : {kGiveBack, kCopyBack, kRefuse, kAskBack, kDropIt, kGiveBack}) {
      std::vector<Started> started;
      for (int i = 0; i < (type == kAskBack ? 1 : 4); ++i) {
        auto start = link.start(call_payload(number), {.type = type}, kStuck);
        if (!start) {
          if (start.error().code() != mews::ErrorCode::peer_died) {
            add_problem("start: " + start.error().message());
          }
          break;
        }
        started.push_back({number++, type, std::move(*start)});
      }
      if (type == kAskBack) serve(1);
      for (auto& one : started)
        judge(one.number, one.type, one.reply.get());
    }
  }

  /// Answers so many calls of the plugin, or until it is gone.
  void serve(std::uint64_t calls) {
    for (std::uint64_t i = 0; i < calls; ++i) {
      auto request = link.accept(kStuck);
      if (!request) {
        if (request.error().code() == mews::ErrorCode::timed_out) add_problem("nothing came");
        return;
      }
      (void)request->reply(request->bytes());
    }
  }
};

}  // namespace

TEST_CASE("crash: a plugin may die at any step of answering calls, and of calling back in one") {
  every_death_of<HostCalls>("answer_calls", kLinkCells, 60,
                            [](HostCalls& calls) { calls.call_all(); });
}
TEST_CASE("crash: a plugin may die at any step of making calls and cancelling them") {
  every_death_of<HostCalls>("make_calls", kLinkCells, 30, [](HostCalls& calls) { calls.serve(7); });
}
