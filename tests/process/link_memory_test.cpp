// SPDX-License-Identifier: MIT
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "link_support.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::size_t kBytes = 3000;

/// Room for one request and one reply.
mews::CreateOptions tightest(std::uint32_t plugins) {
  mews::CreateOptions options;
  options.size_classes = {{4096, 2}};
  options.fallback_classes = 0;
  options.reply_slabs = 1;
  options.max_plugins = plugins;
  return options;
}

/// Calls in turn, from so many threads, until each has made so many; the number of those that went
/// wrong.
int call_all(std::vector<mews::Link>& links, unsigned threads, std::uint32_t type,
             std::size_t bytes, int calls) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (unsigned number = 0; number < threads; ++number) {
    callers.emplace_back([&, number] {
      for (int i = 0; i < calls; ++i) {
        std::vector<std::byte> payload(bytes);
        const auto seed = number * 1000 + static_cast<unsigned>(i);
        fill(payload, seed);
        auto& link = links[(number + static_cast<unsigned>(i)) % links.size()];
        const auto reply = link.call(payload, {.type = type}, kPatience);
        if (!reply || reply->size() != bytes || !is_filled(reply->bytes(), seed)) ++wrong;
      }
    });
  }
  for (auto& caller : callers)
    caller.join();
  return wrong;
}

}  // namespace

TEST_CASE("link, rule 4: with memory for one request and one reply all calls are answered") {
  for (const std::uint32_t count : {1u, 4u, 17u}) {
    for (const unsigned threads : {1u, 4u}) {
      INFO(count << " plugins, " << threads << " threads");
      auto host = must(mews::Session::create(tightest(count)));
      LinkPlugins plugins(host, count);
      CHECK(call_all(plugins.links, threads, kEcho, kBytes, 60) == 0);
      CHECK(call_all(plugins.links, threads, kForwardBack, kBytes, 60) == 0);
      CHECK(host.stats().is_all_free());
    }
  }
}

TEST_CASE("link, rule 4: requests and messages leave the last slab to replies") {
  LinkPair pair(tightest(1));
  auto held = must(pair.here().try_loan(kBytes));
  CHECK(outcome(pair.here().try_loan(kBytes)) == "no_slab");
  CHECK(outcome(pair.there().try_loan(kBytes)) == "no_slab");
  auto pending = must(pair.here().start("x", {}, kPatience));
  auto request = must(pair.there().accept(kPatience));
  auto loan = must(request.try_loan(kBytes));
  CHECK(outcome(request.try_loan(kBytes)) == "no_slab");
  must(request.reply(std::move(loan)));
  CHECK(must(pending.get()).size() == kBytes);
  // A failure needs none.
  auto second = must(pair.here().start("x", {}, kPatience));
  auto kept = must(pair.there().accept(kPatience));
  auto last = must(kept.try_loan(kBytes));
  must(kept.fail("no"));
  CHECK(outcome(second.get()) == "failed");
}

TEST_CASE("link, rule 4: nested calls need memory of their own for requests, and none beyond") {
  // The request holds a slab while the plugin calls back: one more for that.
  auto options = tightest(4);
  options.size_classes = {{4096, 3}};
  auto host = must(mews::Session::create(options));
  LinkPlugins plugins(host, 4);
  std::vector<std::thread> servers;
  std::stop_source stop;
  for (auto& link : plugins.links) {
    servers.emplace_back(
        [&stop, link]() mutable { (void)link.serve(answer, mews::forever, stop.get_token()); });
  }
  CHECK(call_all(plugins.links, 1, kCallBack, kBytes, 60) == 0);
  stop.request_stop();
  for (auto& server : servers)
    server.join();
}

TEST_CASE("link, rule 4: what cannot be had is said") {
  mews::CreateOptions options = tightest(1);
  options.reply_slabs = ~0u;
  const auto made = mews::Session::create(options);
  REQUIRE(outcome(made) == "invalid_argument");
  CHECK_THAT(made.error().message(), ContainsSubstring("reply_slabs"));
}
