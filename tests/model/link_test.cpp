// SPDX-License-Identifier: MIT
#include <optional>
#include <string>
#include <vector>

#include "core/link_core.hpp"
#include "model/process.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

using detail::LinkCore;

constexpr auto kCutOff = "a link ends though all is well";

struct LinkPlan {
  int callers = 2;  ///< threads of the host, each with one call
  std::uint32_t credits = 2;
  bool has_late = false;     ///< the first caller's deadline passes at some moment
  bool drops_first = false;  ///< the first caller starts its call and gives it up at once
  bool nests = false;        ///< the plugin calls back before it answers, and the host accepts
  bool may_crash = false;    ///< the plugin
};

// Threads of the host call the plugin, which answers each request with its own number. The plugin
// may be killed anywhere, a deadline may pass anywhere. Each call has one end, and its own.
class Calls final : public Scenario {
 public:
  explicit Calls(const LinkPlan& plan) : plan_(plan) {
    words_.add_object("host.link", host_link_);
    words_.add_object("plugin.link", plugin_link_);
    for (int i = 0; i < plan.callers; ++i) {
      threads_.push_back(
          {.name = "caller" + std::to_string(i + 1), .process = kHost, .body = [this, i] {
             call(i);
             end_if_last();
           }});
    }
    if (plan.nests) {
      threads_.push_back({.name = "acceptor", .process = kHost, .body = [this] {
                            auto back = host_link_->accept(detail::Timeout(forever));
                            if (back) (void)host_link_->reply(back->slot, Body("back"), 0, forever);
                            end_if_last();
                          }});
    }
    threads_.push_back({.name = "plugin",
                        .process = kPlugin,
                        .body = [this] { serve(); },
                        .may_crash = plan.may_crash,
                        .stays = true});
    threads_.push_back({.name = "watcher",
                        .process = kHost,
                        .body = [this] { host_.on_death(); },
                        .recovers = kPlugin});
    if (plan.has_late) {
      threads_.push_back({.name = "clock", .process = 9, .body = [] { pass_deadlines(); }});
    }
  }

  void reset() override {
    host_link_.reset();
    plugin_link_.reset();
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    const layout::LinkLimits limits{.calls = plan_.credits, .streams = 1};
    host_link_.emplace(alias(host_), LinkOptions{.credits = plan_.credits}, limits);
    plugin_link_.emplace(alias(plugin_), LinkOptions{.credits = 1}, limits);
    host_.channel().become_link();
    plugin_.channel().become_link();
    left_ = plan_.callers + (plan_.nests ? 1 : 0);
    ends_.assign(static_cast<std::size_t>(plan_.callers), 0);
    begun_.assign(static_cast<std::size_t>(plan_.callers), false);
  }
  void verify() override {
    for (const auto ends : ends_)
      expect(ends == 1, "a call has not exactly one end");
    tiny_.expect_sound();
  }

 private:
  static std::shared_ptr<detail::ChannelCore> alias(Process& process) {
    return {std::shared_ptr<void>(), &process.channel()};
  }

  void call(int number) {
    const auto place = static_cast<std::size_t>(number);
    const auto text = std::to_string(number);
    const bool is_first = number == 0;
    const Deadline deadline =
        is_first && plan_.has_late ? Deadline(std::chrono::hours(1)) : Deadline(forever);
    if (is_first && plan_.drops_first) {
      const auto slot =
          host_link_->start(Body(text), {}, {.deadline = deadline}, LinkCore::MayWait::yes);
      if (slot) host_link_->cancel(*slot);
      ++ends_[place];
      return;
    }
    const auto reply = host_link_->call(Body(text), {}, detail::Timeout(deadline));
    ++ends_[place];
    if (reply) {
      expect(reply->text() == text, "a call gets the reply of another");
      return;
    }
    const auto code = reply.error().code();
    expect(code == ErrorCode::peer_died || (is_first && code == ErrorCode::timed_out),
           "a call fails though all is well");
    expect(!is_dead(kPlugin) || code != ErrorCode::peer_died || !begun_[place] ||
               reply.error().was_started(),
           "a call that was begun is said not to be");
  }

  // So that the plugin's last wait ends.
  void end_if_last() {
    if (--left_ == 0) (void)host_.channel().close();
  }

  void serve() {
    for (bool is_first = true;; is_first = false) {
      auto request = plugin_link_->accept(detail::Timeout(forever));
      if (!request) {
        expect(request.error().code() == ErrorCode::closed, kCutOff);
        return;
      }
      const std::string text(request->message.text());
      begun_[static_cast<std::size_t>(text[0] - '0')] = true;
      if (plan_.nests && is_first) {
        const auto back = plugin_link_->call(Body("?"), {}, detail::Timeout(forever));
        expect(back && back->text() == "back", "a call back is not answered");
      }
      expect(plugin_link_->reply(request->slot, Body(text), 0, forever).has_value(),
             "a reply finds no room");
    }
  }

  LinkPlan plan_;
  TinyArena tiny_{{.slabs = 2, .chunk_slabs = 1}, words_};
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  std::optional<LinkCore> host_link_;
  std::optional<LinkCore> plugin_link_;
  int left_ = 0;  ///< threads of the host
  std::vector<int> ends_;
  std::vector<bool> begun_;
};

}  // namespace

TEST_CASE("link: each call of several threads gets its own reply, whoever leads") {
  Calls two({});
  require_holds("link, two callers", two, {.most_preemptions = 2});
  Calls three({.callers = 3, .credits = 3});
  require_holds("link, three callers", three, {.preemptions = 1, .most_preemptions = 2});
}

TEST_CASE("link: each call ends when the other process dies, wherever that is") {
  Calls one({.callers = 1, .credits = 1, .may_crash = true});
  require_holds("link, one caller", one, {.crashes = 1});
  Calls two({.may_crash = true});
  require_holds("link, two callers", two, {.preemptions = 1, .most_preemptions = 2, .crashes = 1});
}

TEST_CASE("link: callers that wait for a credit get it, one after the other") {
  Calls two({.credits = 1});
  require_holds("link, one credit", two, {.most_preemptions = 2});
  Calls dying({.credits = 1, .may_crash = true});
  require_holds("link, one credit", dying, {.preemptions = 1, .most_preemptions = 2, .crashes = 1});
}

TEST_CASE("link: a nested call is answered, whoever leads") {
  Calls nested({.callers = 1, .credits = 1, .nests = true});
  require_holds("link, nested", nested, {.most_preemptions = 2});
}

TEST_CASE("link: a call given up, its answer and the slot's next call at once") {
  Calls dropped({.credits = 1, .drops_first = true});
  require_holds("link, dropped", dropped, {.most_preemptions = 2});
  Calls late({.credits = 1, .has_late = true});
  require_holds("link, late", late, {.preemptions = 1, .most_preemptions = 2});
  Calls dying({.credits = 1, .has_late = true, .may_crash = true});
  require_holds("link, late", dying, {.preemptions = 0, .most_preemptions = 1, .crashes = 1});
}

TEST_CASE("link: a lead that leaves without a word is found", "[.][lead_leaves_silently]") {
  Calls two({});
  require_found("lead leaves silently", two, {}, "caller2 sleeps for ever on an unnamed word");
}

TEST_CASE("link: a waiter that does not look again is found", "[.][waiter_looks_once]") {
  Calls two({});
  require_found("waiter looks once", two, {}, "caller2 sleeps for ever on an unnamed word");
}

TEST_CASE("link: a cancel behind the slot's next request is found", "[.][cancel_after_gone]") {
  Calls dropped({.credits = 1, .drops_first = true});
  require_found("cancel after gone", dropped, {}, kCutOff);
}

TEST_CASE("link: a call that is taken without a word is found", "[.][taken_without_a_word]") {
  Calls one({.callers = 1, .credits = 1, .may_crash = true});
  require_found("taken without a word", one, {.crashes = 1},
                "a call that was begun is said not to be");
}

}  // namespace mews::model
