// SPDX-License-Identifier: MIT
#include <signal.h>

#include <string>
#include <vector>

#include "../crash/second_view.hpp"
#include "../support/catch.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

constexpr std::size_t kMiB = 1 << 20;

mews::CreateOptions two_classes() {
  mews::CreateOptions options;
  options.name = unique_name("cursor");
  options.size_classes = {{1024, 64}, {kMiB, 8}, {4 * kMiB, 4}};
  options.reply_slabs = 0;
  options.fallback_classes = 0;
  return options;
}

/// What a scribbler makes of the cursors.
void scribble(const mews::mem::Arena& arena, std::uint32_t value) {
  for (auto& cursor : arena.pool().fresh)
    cursor.store(value, std::memory_order_relaxed);
}

std::size_t lendable(mews::Channel& channel, std::size_t bytes) {
  std::vector<mews::Loan> loans;
  while (auto loan = channel.try_loan(bytes))
    loans.push_back(std::move(*loan));
  return loans.size();
}

}  // namespace

TEST_CASE("cursor: what a dead plugin held comes back whatever another made of the cursors") {
  const auto value = GENERATE(0U, 1U, 0x80000000U, ~0U);
  const auto [bytes, count] = GENERATE(std::pair<std::size_t, std::size_t>{1024, 64},
                                       std::pair<std::size_t, std::size_t>{kMiB, 8},
                                       std::pair<std::size_t, std::size_t>{4 * kMiB, 4});
  INFO("cursor " << value << ", slabs of " << bytes);
  const auto options = two_classes();
  auto host = must(mews::Session::create(options));
  const auto view = mews_test::second_view(options.name);
  REQUIRE(view);
  auto other = must(host.connect("other"));
  auto holder = must(host.spawn("holder", command({"hold", std::to_string(bytes)})));
  REQUIRE(must(holder.channel().receive(kPatience)).text() == std::to_string(count));
  scribble(*view, value);

  // The figures and the texts say what is so.
  const auto stats = host.stats();
  CHECK_FALSE(stats.is_all_free());
  REQUIRE(stats.holders.size() == 1);
  CHECK((stats.holders[0].name == "holder" && stats.holders[0].held == count));
  const auto refused = other.first.channel().loan(bytes, 1ms);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message(),
             Catch::Matchers::ContainsSubstring("holder holds " + std::to_string(count)));

  scribble(*view, value);
  must(holder.kill(SIGKILL));
  must(holder.wait_exit(kPatience));
  CHECK(host.stats().is_all_free());
  scribble(*view, value);
  CHECK(lendable(other.first.channel(), bytes) == count);
}

TEST_CASE("cursor: looking for slabs brings no page of truth words into being") {
  mews::CreateOptions options;
  options.name = unique_name("sparse");
  options.size_classes = {{1024, 1 << 20}, {kMiB, 1 << 16}, {4 * kMiB, 1 << 16}};
  options.reply_slabs = 0;
  auto host = must(mews::Session::create(options));
  const auto view = mews_test::second_view(options.name);
  REQUIRE(view);
  auto plugin = must(host.spawn("echo", command({"echo"})));
  REQUIRE(converse(plugin.channel(), 5, 1).empty());
  const auto before = host.stats().arena_resident_bytes;
  scribble(*view, ~0U);
  must(plugin.kill(SIGKILL));
  must(plugin.wait_exit(kPatience));
  CHECK(host.stats().is_all_free());
  CHECK(host.stats().arena_resident_bytes <= before + 16 * 4096);
}
