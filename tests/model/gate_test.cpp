// SPDX-License-Identifier: MIT
#include "model/process.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

struct GatePlan {
  std::uint32_t waiters = 2;
  std::uint32_t slabs = 1;
  bool is_kept = false;       ///< by whoever gets one: only the plugin's bell wakes
  bool has_leaver = false;    ///< one waiter more, with a deadline, which passes at some moment
  bool is_disturbed = false;  ///< at some moment all sleepers wake for no reason
};

// Threads of the host wait for slabs, all of which the plugin has at first. The plugin may be
// killed anywhere; while it is not, nothing but its bell and the threads themselves wake any.
class AtGate final : public Scenario {
 public:
  explicit AtGate(const GatePlan& plan)
      : plan_(plan), slabs_(plan.slabs), tiny_({.slabs = plan.slabs, .chunk_slabs = 1}, words_) {
    for (std::uint32_t i = 0; i < plan.waiters; ++i) {
      threads_.push_back({.name = "waiter" + std::to_string(i + 1),
                          .process = kHost,
                          .body = [this] { wait_for_ever(); }});
    }
    if (plan.has_leaver) {
      threads_.push_back({.name = "leaver", .process = kHost, .body = [this] { wait_a_while(); }});
      threads_.push_back({.name = "clock", .process = kNobody, .body = [] { pass_deadlines(); }});
    }
    if (plan.is_disturbed) {
      threads_.push_back(
          {.name = "chance", .process = kNobody, .body = [] { wake_for_no_reason(); }});
    }
    threads_.push_back({.name = "plugin",
                        .process = kPlugin,
                        .body = [this] { release_all(); },
                        .may_crash = true,
                        .stays = true});
    threads_.push_back({.name = "watcher",
                        .process = kHost,
                        .body = [this] { host_.on_death(); },
                        .recovers = kPlugin});
  }
  void reset() override {
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    for (auto& slab : slabs_)
      (void)plugin_.session().claim(slab, kSlabBytes, detail::Timeout::none());
    served_ = 0;
  }
  void verify() override {
    expect(served_ == plan_.waiters, "a wait without a deadline ended without a slab");
    if (!plan_.is_kept) tiny_.expect_whole(kHost, plan_.slabs);
  }

 private:
  static constexpr int kNobody = 9;

  void wait_for_ever() {
    if (wait_until(forever)) ++served_;
  }
  void wait_a_while() { (void)wait_until(std::chrono::hours(1)); }

  bool wait_until(Deadline deadline) {
    mem::Slab slab;
    const auto claimed = host_.session().claim(slab, kSlabBytes, detail::Timeout(deadline));
    if (claimed && !plan_.is_kept) host_.session().pool().release(slab);
    return claimed.has_value();
  }
  void release_all() {
    for (const auto& slab : slabs_)
      plugin_.session().pool().release(slab);
  }

  GatePlan plan_;
  std::vector<mem::Slab> slabs_;
  TinyArena tiny_;
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  std::uint32_t served_ = 0;
};

}  // namespace

TEST_CASE("gate: every thread that waits for a slab gets it, also when its holder dies") {
  AtGate two({});
  require_holds("gate, two waiters", two, {});
  require_holds("gate, two waiters", two, {.crashes = 1});
  AtGate three({.waiters = 3});
  require_holds("gate, three waiters", three, {.most_preemptions = 2, .crashes = 1});
}

TEST_CASE("gate: each slab that another process frees reaches a thread, whoever has the lead") {
  AtGate two({.slabs = 2, .is_kept = true});
  require_holds("gate, two kept", two, {.crashes = 1});
  AtGate three({.waiters = 3, .slabs = 3, .is_kept = true});
  require_holds("gate, three kept", three, {.most_preemptions = 2});
  require_holds("gate, three kept", three, {.preemptions = 1, .most_preemptions = 2, .crashes = 1});
}

TEST_CASE("gate: a thread whose deadline passes takes no wake-up with it, nor the lead") {
  AtGate one({.waiters = 1, .has_leaver = true});
  require_holds("gate, one leaves", one, {.most_preemptions = 2, .crashes = 1});
  AtGate two({.has_leaver = true});
  require_holds("gate, one of three leaves", two, {.preemptions = 1, .most_preemptions = 1});
  AtGate kept({.slabs = 3, .is_kept = true, .has_leaver = true});
  require_holds("gate, one of three leaves, kept", kept, {.preemptions = 1, .most_preemptions = 1});
}

TEST_CASE("gate: a thread that wakes for no reason goes on waiting") {
  AtGate two({.is_disturbed = true});
  require_holds("gate, two disturbed", two, {});
  AtGate leaving({.waiters = 1, .has_leaver = true, .is_disturbed = true});
  require_holds("gate, one leaves, disturbed", leaving, {});
}

TEST_CASE("gate: a lead that is not passed on is found", "[.][lead_not_passed_on]") {
  AtGate kept({.slabs = 2, .is_kept = true});
  require_found("lead not passed on", kept, {}, "waiter2 sleeps for ever on host.session");
}

}  // namespace mews::model
