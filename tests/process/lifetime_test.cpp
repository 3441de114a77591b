// SPDX-License-Identifier: MIT
#include <signal.h>

#include <optional>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

/// Three messages: in the lane, in a slab, and a run; each filled with its size.
std::vector<mews::Message> three_messages(mews::Channel& from, mews::Channel& to) {
  std::vector<mews::Message> messages;
  for (const std::size_t bytes : {100u, 50'000u, 3u << 20}) {
    auto loan = must(from.loan(bytes));
    fill(loan.bytes(), bytes);
    must(from.send(std::move(loan)));
    messages.push_back(must(to.receive(kPatience)));
  }
  return messages;
}

bool are_whole(const std::vector<mews::Message>& messages) {
  for (const auto& message : messages) {
    if (!is_filled(message.bytes(), message.size())) return false;
  }
  return messages.size() == 3;
}

}  // namespace

TEST_CASE("lifetime: messages stay readable however many others come and go") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"echo"}, small_arena());
  const auto kept = three_messages(site.channel(), site.channel());
  for (int i = 0; i < 500; ++i)
    REQUIRE(site.round_trip(mixed_size(static_cast<std::uint64_t>(i))) == "the same");
  CHECK(are_whole(kept));
}

TEST_CASE("lifetime: messages outlive their channel's close, and both of its ends") {
  auto host = must(mews::Session::create(small_arena()));
  std::vector<mews::Message> at_host;
  std::vector<mews::Message> at_guest;
  std::vector<mews::Loan> loans;
  {
    auto [plugin, guest] = must(host.connect("other"));
    at_host = three_messages(guest.channel(), plugin.channel());
    at_guest = three_messages(plugin.channel(), guest.channel());
    loans.push_back(must(plugin.channel().loan(70'000)));
    loans.push_back(must(guest.channel().loan(70'000)));
    must(plugin.channel().close());
    must(guest.channel().close());
    CHECK((are_whole(at_host) && are_whole(at_guest)));
  }
  CHECK((are_whole(at_host) && are_whole(at_guest)));
  for (auto& loan : loans) {
    fill(loan.bytes(), 8);
    CHECK(is_filled(loan.bytes(), 8));
  }
  at_host.clear();
  at_guest.clear();
  loans.clear();
  CHECK(host.stats().is_all_free());
}

TEST_CASE("lifetime: messages and loans outlive their session") {
  std::vector<mews::Message> messages;
  std::optional<mews::Loan> loan;
  {
    Site site(Where::two_processes, {"echo"}, small_arena());
    messages = three_messages(site.channel(), site.channel());
    loan = must(site.channel().loan(70'000));
  }
  CHECK(are_whole(messages));
  fill(loan->bytes(), 8);
  CHECK(is_filled(loan->bytes(), 8));
}

TEST_CASE("lifetime: what a killed plugin had sent stays readable until it is released") {
  Site site(Where::two_processes, {"echo"}, small_arena());
  auto messages = three_messages(site.channel(), site.channel());
  must(site.plugin().kill(SIGKILL));
  must(site.plugin().wait_exit(kPatience));
  CHECK(are_whole(messages));
  for (auto id : {0, 1}) {
    // Others use what was taken back meanwhile.
    auto [plugin, guest] = must(site.host().connect("next-" + std::to_string(id)));
    CHECK(are_whole(three_messages(plugin.channel(), guest.channel())));
  }
  CHECK(are_whole(messages));
  messages.clear();
  CHECK(eventually([&] { return site.host().stats().is_all_free(); }));
}

TEST_CASE("lifetime: a message is forwarded between two plugins as the same memory") {
  auto host = must(mews::Session::create());
  auto first = must(host.spawn("first", command({"echo"})));
  auto second = must(host.spawn("second", command({"echo"})));
  auto loan = must(first.channel().loan(100'000));
  fill(loan.bytes(), 1);
  const auto* place = loan.bytes().data();
  must(first.channel().send(std::move(loan)));
  for (int i = 0; i < 20; ++i) {
    auto& to = i % 2 == 0 ? second : first;
    auto& from = i % 2 == 0 ? first : second;
    auto message = must(from.channel().receive(kPatience));
    CHECK(message.bytes().data() == place);
    auto forwarded = std::move(message).into_loan();
    CHECK(message.size() == 0);
    forwarded.bytes()[static_cast<std::size_t>(i)] = std::byte{0};
    must(to.channel().send(std::move(forwarded), {.type = kForward, .correlation = 0}));
  }
  const auto last = must(first.channel().receive(kPatience));
  CHECK(last.bytes().data() == place);
  const auto stats = host.stats();
  CHECK((stats.holders.size() == 1 && stats.holders[0].held == 1));
}

TEST_CASE("lifetime: loans are dropped, moved, and sent once only") {
  auto host = must(mews::Session::create(small_arena()));
  auto other_host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("one"));
  auto [stranger, stranger_guest] = must(other_host.connect("two"));
  auto loan = must(plugin.channel().loan(5000));
  CHECK(outcome(stranger.channel().try_send(std::move(loan))) == "invalid_argument");
  CHECK(loan.is_valid());
  CHECK(outcome(guest.channel().try_send(std::move(loan))) == "invalid_argument");
  auto moved = std::move(loan);
  CHECK(outcome(plugin.channel().try_send(std::move(loan))) == "invalid_argument");
  CHECK(outcome(plugin.channel().send(std::move(moved), {}, kPatience)) == "ok");
  CHECK_FALSE(moved.is_valid());
  CHECK(outcome(plugin.channel().send(std::move(moved), {}, kPatience)) == "invalid_argument");
  mews::Loan never;
  CHECK(outcome(plugin.channel().try_send(std::move(never))) == "invalid_argument");
  CHECK(must(guest.channel().receive(kPatience)).size() == 5000);
  { const auto dropped = must(plugin.channel().loan(1 << 20)); }
  CHECK(host.stats().is_all_free());
}

TEST_CASE("lifetime: after a close the rest arrives, then closed; the other direction goes on") {
  const auto ends = GENERATE(0, 1);
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("other"));
  auto& closing = ends == 0 ? plugin.channel() : guest.channel();
  auto& other = ends == 0 ? guest.channel() : plugin.channel();
  must(closing.send(bytes_of("one")));
  must(closing.send(bytes_of(std::string(5000, '2'))));
  must(closing.close());
  must(closing.close());
  auto loan = must(closing.loan(5000));
  CHECK(outcome(closing.try_send(std::move(loan))) == "closed");
  CHECK(loan.is_valid());
  CHECK(must(other.receive(kPatience)).text() == "one");
  CHECK(must(other.receive(kPatience)).size() == 5000);
  CHECK(outcome(other.receive(kPatience)) == "closed");
  CHECK(outcome(other.try_receive()) == "closed");
  must(other.send(bytes_of("back")));
  CHECK(must(closing.receive(kPatience)).text() == "back");
}

TEST_CASE("lifetime: a full lane can still be closed in good order") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("other"));
  int sent = 0;
  while (plugin.channel().try_send(bytes_of("x")))
    ++sent;
  must(plugin.channel().close());
  for (int i = 0; i < sent; ++i)
    must(guest.channel().try_receive());
  CHECK(outcome(guest.channel().try_receive()) == "closed");
}
