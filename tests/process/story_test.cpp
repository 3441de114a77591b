// SPDX-License-Identifier: MIT
// One file per plugin and a pool of equal slots: a font did not fit, the error was swallowed, the
// slot leaked, and the caller waited for ever. Here the same requests are made.
#include <string>

#include "../support/catch.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::size_t kFontBytes = 9'814'676;

/// Asks for a result of `bytes`; what came back.
mews::Message ask(Site& site, std::size_t bytes, std::uint64_t correlation) {
  must(site.channel().send(bytes_of(std::to_string(bytes)),
                           {.type = 0, .correlation = correlation}));
  return must(site.channel().receive(kPatience));
}

/// The plugin got no memory: it says so, nothing is leaked, and the next request is served.
void check_refusal(Site& site, std::size_t bytes, const std::string& why) {
  const auto answer = ask(site, bytes, 17);
  CHECK(answer.type() == kFailed);
  CHECK(answer.correlation() == 17);
  CHECK_THAT(std::string(answer.text()), ContainsSubstring(why));
  CHECK(site.host().stats().is_all_free());
}

}  // namespace

TEST_CASE("story: the decompressed font arrives, whatever its neighbours' sizes") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"decode"});
  for (const std::size_t bytes : {std::size_t{200}, kFontBytes, std::size_t{1000}, kFontBytes}) {
    const auto answer = ask(site, bytes, bytes);
    CHECK(answer.type() == kDone);
    CHECK(answer.size() == bytes);
    CHECK(is_filled(answer.bytes(), bytes));
  }
  CHECK(site.host().stats().is_all_free());
}

TEST_CASE("story: a result too large for any state of the arena is an error at the plugin's loan") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"decode"});
  const auto whole = site.host().stats().arena_virtual_bytes;
  for (int i = 0; i < 3; ++i)
    check_refusal(site, whole, "the payload is larger than this arena");
  check_refusal(site, ~std::size_t{0}, "the payload is larger than this arena");
  CHECK(ask(site, kFontBytes, 4).type() == kDone);
}

TEST_CASE("story: an arena of small slabs only refuses the font and goes on serving") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"decode"}, small_arena());
  for (int i = 0; i < 20; ++i) {
    check_refusal(site, kFontBytes,
                  std::to_string(kFontBytes) + " bytes, and the largest run is 8");
    CHECK(ask(site, 1 << 20, 5).type() == kDone);
  }
  CHECK(ask(site, 8 << 20, 6).type() == kDone);
  CHECK(site.host().stats().is_all_free());
}

TEST_CASE("story: when the host holds all memory, the plugin's refusal names the host") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"decode"}, small_arena());
  std::vector<mews::Loan> loans;
  while (auto loan = site.channel().try_loan(1 << 20))
    loans.push_back(std::move(*loan));
  CHECK(loans.size() == 8);
  const auto answer = ask(site, 1 << 20, 3);
  CHECK(answer.type() == kFailed);
  CHECK_THAT(std::string(answer.text()), ContainsSubstring("no 1 MiB slab"));
  CHECK_THAT(std::string(answer.text()), ContainsSubstring("host holds 8"));
  loans.pop_back();
  CHECK(ask(site, 1 << 20, 3).type() == kDone);
}

TEST_CASE("story: a host that asks for too much gets the error at once and may go on") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"echo"}, small_arena());
  CHECK(outcome(site.channel().loan((8u << 20) + 1, mews::forever)) == "payload_too_large");
  const std::vector<std::byte> huge((8u << 20) + 1);
  CHECK(outcome(site.channel().send(huge, {}, mews::forever)) == "payload_too_large");
  CHECK(outcome(site.channel().try_send(huge)) == "payload_too_large");
  CHECK(site.host().stats().is_all_free());
  CHECK(site.round_trip(8u << 20) == "the same");
}
