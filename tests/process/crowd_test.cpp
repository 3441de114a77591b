// SPDX-License-Identifier: MIT
#include <array>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

constexpr std::array kNames{"webp",     "jxl",    "minify",   "svgo",      "sass",      "css",
                            "js",       "search", "image",    "fonts",     "linkcheck", "code",
                            "htmldiff", "html",   "markdown", "highlight", "http"};

std::vector<mews::Plugin> spawn_all(mews::Session& host, const Words& words) {
  std::vector<mews::Plugin> plugins;
  for (const auto* name : kNames)
    plugins.push_back(must(host.spawn(name, command(words))));
  return plugins;
}

}  // namespace

TEST_CASE("crowd: seventeen plugins attach, idle, in less than 4 MiB of memory in all") {
  auto host = must(mews::Session::create());
  const auto plugins = spawn_all(host, {"echo"});
  REQUIRE(eventually([&] { return host.stats().plugins == kNames.size(); }));
  const auto stats = host.stats();
  CHECK(stats.arena_resident_bytes < (4u << 20));
  CHECK(stats.arena_virtual_bytes > (std::uint64_t{4} << 30));
  CHECK(stats.is_all_free());
  for (const auto& row : stats.classes)
    CHECK(row.backed_bytes == 0);
}

TEST_CASE("crowd: seventeen plugins talk to the host at once, each in a thread of the host") {
  auto host = must(mews::Session::create());
  auto plugins = spawn_all(host, {"echo"});
  const auto count = mews_test::scaled(400);
  std::vector<std::string> failures(plugins.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < plugins.size(); ++i) {
    threads.emplace_back(
        [&, i] { failures[i] = converse(plugins[i].channel(), count, 1'000'000 * (i + 1)); });
  }
  for (auto& thread : threads)
    thread.join();
  for (const auto& failure : failures)
    CHECK(failure.empty());
  CHECK(host.stats().is_all_free());
}

TEST_CASE(
    "crowd: one thread talks to seventeen plugins in turn, with requests on their way to all") {
  auto host = must(mews::Session::create());
  auto plugins = spawn_all(host, {"echo"});
  for (std::uint64_t round = 0; round < 20; ++round) {
    for (std::size_t i = 0; i < plugins.size(); ++i) {
      auto loan = must(plugins[i].channel().loan(10'000 * i));
      fill(loan.bytes(), round + i);
      must(plugins[i].channel().send(std::move(loan), {.type = kForward, .correlation = i}));
    }
    for (std::size_t i = 0; i < plugins.size(); ++i) {
      const auto reply = must(plugins[i].channel().receive(kPatience));
      REQUIRE(reply.correlation() == i);
      REQUIRE(is_filled(reply.bytes(), round + i));
    }
  }
}
