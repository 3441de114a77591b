// SPDX-License-Identifier: MIT
#include <csignal>
#include <string>
#include <utility>

#include "../support/catch.hpp"
#include "link_support.hpp"

using namespace process_test;

namespace {

constexpr std::size_t kBytes = 3'000;

/// So many slabs of one class, and none kept for replies.
mews::CreateOptions slabs(std::uint32_t count) {
  mews::CreateOptions options;
  options.size_classes = {{4096, count}};
  options.fallback_classes = 0;
  options.reply_slabs = 0;
  options.max_plugins = 2;
  return options;
}

}  // namespace

TEST_CASE("link, reply_bytes: a reply comes although no slab is free") {
  LinkPair pair(slabs(2));
  auto pending = must(pair.here().start("x", {.type = 1, .reply_bytes = kBytes}, kPatience));
  auto held = must(pair.here().try_loan(kBytes));
  auto request = must(pair.there().accept(kPatience));
  CHECK(outcome(pair.there().try_loan(kBytes)) == "no_slab");
  SECTION("in a loan") {
    auto loan = must(request.try_loan(2'000));
    CHECK(loan.size() == 2'000);
    fill(loan.bytes(), 5);
    CHECK(outcome(request.try_loan(2'000)) == "no_slab");  // it was lent once
    must(request.reply(std::move(loan)));
    const auto reply = must(pending.get());
    CHECK(reply.size() == 2'000);
    CHECK(is_filled(reply.bytes(), 5));
  }
  SECTION("copied") {
    const std::string text(kBytes, 'x');
    must(request.reply(text));
    CHECK(text_of(pending.get()) == text);
  }
  SECTION("a larger one has no room there") {
    CHECK(outcome(request.try_loan(kBytes + 1'000)) == "no_slab");
    must(request.reply("small"));
    CHECK(text_of(pending.get()) == "small");
  }
  SECTION("a failure gives it back") {
    must(request.fail("no"));
    CHECK(outcome(pending.get()) == "failed");
  }
  SECTION("a cancel gives it back") {
    pending.cancel();
    { const auto dropped = std::move(request); }
  }
  held = mews::Loan();
  CHECK(is_all_back(pair));
}

TEST_CASE("link, reply_bytes: what was lent and not accepted goes back") {
  LinkPair pair(slabs(2));
  SECTION("cancelled") {
    { auto pending = must(pair.here().start("x", {.reply_bytes = kBytes}, kPatience)); }
    CHECK(outcome(pair.there().try_accept()) == "would_block");
  }
  SECTION("expired") {
    CHECK(outcome(pair.here().call("x", {.reply_bytes = kBytes}, 1ms)) == "timed_out");
    CHECK(outcome(pair.there().accept(5ms)) == "timed_out");
  }
  CHECK(is_all_back(pair));
}

TEST_CASE("link, reply_bytes: small ones lend nothing, and one that cannot be had is said") {
  LinkPair pair(slabs(1));
  auto held = must(pair.here().try_loan(kBytes));
  auto small = must(pair.here().try_start("x", {.reply_bytes = 480}, kPatience));
  must(must(pair.there().accept(kPatience)).reply("y"));
  CHECK(text_of(small.get()) == "y");
  CHECK(outcome(pair.here().try_start("x", {.reply_bytes = 481}, kPatience)) == "no_slab");
  CHECK(outcome(pair.here().start("x", {.reply_bytes = 481}, 5ms)) == "timed_out");
  CHECK(outcome(pair.here().start("x", {.reply_bytes = 5'000}, kPatience)) == "payload_too_large");
  CHECK(pair.here().open_calls() == 0);
}

TEST_CASE("link, reply_bytes: a request that cannot be sent lends nothing to the next one") {
  LinkPair pair;
  auto other = must(mews::Session::create());
  auto [foreign, its_guest] = must(other.connect("other"));
  auto loan = must(foreign.channel().loan(1'000));
  CHECK(outcome(pair.here().call(std::move(loan), {.reply_bytes = kBytes}, 1s)) ==
        "invalid_argument");
  CHECK(outcome(pair.here().call(mews::Loan(), {.reply_bytes = kBytes}, 1s)) == "invalid_argument");
  pair.serve();
  CHECK(text_of(pair.here().call("x", {.type = kEcho, .reply_bytes = kBytes}, kPatience)) == "x");
  CHECK(is_all_back(pair));
}

TEST_CASE("link, reply_bytes: a call that is made again lends again") {
  auto host = must(mews::Session::create(slabs(3)));
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"},
                                {.restart = mews::Restart::on_crash}));
  auto link = must(mews::Link::over(plugin, {.types = kLinkTypes}));
  const mews::CallOptions options{
      .type = kMore, .retry = mews::Retry::not_started, .reply_bytes = kBytes};
  auto begun = must(link.start("", {.type = kHang}, kPatience));
  CHECK(outcome(begun.wait(50ms)) == "timed_out");
  auto pending = must(link.start("3000", options, kPatience));
  must(plugin.kill(SIGKILL));
  auto first = must(pending.get());
  CHECK(is_filled(first.bytes(), 7));
  // No other slab is free when the answer is made.
  auto held = must(link.try_loan(kBytes));
  CHECK(must(link.call("3000", options, kPatience)).size() == kBytes);
}
