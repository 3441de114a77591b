// SPDX-License-Identifier: MIT
#include <poll.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "link_site.hpp"
#include "wait_set_support.hpp"

using namespace process_test;

namespace {

/// A host, and links to so many plugins.
class Links {
 public:
  explicit Links(std::uint32_t count)
      : host_(must(mews::Session::create(options(count)))), plugins_(host_, count) {}
  [[nodiscard]] mews::Link& at(std::size_t i) { return plugins_.links[i]; }
  [[nodiscard]] std::size_t size() const { return plugins_.links.size(); }

 private:
  static mews::CreateOptions options(std::uint32_t count) {
    mews::CreateOptions options;
    options.max_plugins = count;
    return options;
  }

  mews::Session host_;
  LinkPlugins plugins_;
};

}  // namespace

TEST_CASE("wait set: one thread keeps calls open with many links, and each gets its own replies") {
  Links links(17);
  auto set = must(mews::WaitSet::create());
  std::vector<mews::PendingReply> pending(links.size());
  std::vector<int> done(links.size());
  constexpr int kRounds = 200;
  const auto ask = [&](std::size_t i) {
    pending[i] = must(links.at(i).start(std::to_string(i) + ":" + std::to_string(done[i]),
                                        {.type = kEcho}, kPatience));
  };
  for (std::size_t i = 0; i < links.size(); ++i) {
    must(set.add(links.at(i), i));
    ask(i);
  }
  while (*std::min_element(done.begin(), done.end()) < kRounds) {
    const auto ready = must(set.wait(kPatience));
    for (const auto& member : ready) {
      const auto i = member.key;
      must(links.at(i).dispatch());
      if (!pending[i].is_ready()) continue;
      const auto reply = must(pending[i].get());
      REQUIRE(reply.text() == std::to_string(i) + ":" + std::to_string(done[i]));
      ++done[i];
      ask(i);
    }
  }
}

TEST_CASE("wait set: a link is reported for a request, until it is accepted, and for its end") {
  LinkPair pair;
  auto set = must(mews::WaitSet::create());
  must(set.add(pair.here(), 7));
  CHECK(outcome(set.try_wait()) == "would_block");
  auto pending = must(pair.there().start("x"));
  CHECK(must(set.wait(kPatience)).size() == 1);
  CHECK(must(pair.here().dispatch()));
  CHECK(must(set.wait(kPatience)).size() == 1);  // it is not accepted yet
  must(must(pair.here().try_accept()).reply("y"));
  CHECK(outcome(set.wait(20ms)) == "timed_out");
  CHECK(must(pending.get()).text() == "y");
  SECTION("a reply that another thread has taken in") {
    int done = 0;
    auto asked = must(pair.here().start("x"));
    REQUIRE(asked.on_ready([&done] { ++done; }));
    std::thread other([link = pair.here()]() mutable { (void)link.accept(kPatience); });
    std::this_thread::sleep_for(20ms);
    std::thread server([&pair] { must(must(pair.there().accept(kPatience)).reply("z")); });
    CHECK(must(set.wait(kPatience)).size() == 1);
    server.join();
    CHECK(eventually([&] {
      (void)pair.here().dispatch();
      return done == 1;
    }));
    auto last = must(pair.there().start("end"));
    other.join();
  }
  SECTION("the end") {
    pair.end_plugin();
    CHECK(must(set.wait(kPatience)).size() == 1);
    CHECK(outcome(pair.here().dispatch()) == "closed");
    CHECK(outcome(set.wait(20ms)) == "timed_out");
  }
}
