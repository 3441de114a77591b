// SPDX-License-Identifier: MIT
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

/// Memory that the system could still give, in MiB.
std::uint64_t available_mib() {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;) {
    std::uint64_t kib = 0;
    if (word == "MemAvailable:" && file >> kib) return kib / 1024;
  }
  return 0;
}

/// The edges of inline payloads, of every default class, and sizes from the story.
std::vector<std::size_t> telling_sizes() {
  std::vector<std::size_t> sizes{0,  1,  7,   8,   31,  32,        33,
                                 63, 64, 479, 480, 481, 1'506'136, 9'814'676};
  for (const auto& row : mews::default_size_classes()) {
    sizes.push_back(row.slab_bytes - 1);
    sizes.push_back(row.slab_bytes);
    if (row.slab_bytes < (16u << 20)) sizes.push_back(row.slab_bytes + 1);
  }
  return sizes;
}

/// Marks each page with its own number; 1 GiB byte by byte would say no more.
void mark_pages(std::span<std::byte> bytes) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 4096) {
    const auto word = mixed(at);
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
}
bool has_marked_pages(std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 4096) {
    const auto word = mixed(at);
    if (std::memcmp(bytes.data() + at, &word, sizeof word) != 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("session: payloads of every size come back the same, forwarded and copied") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  const auto type = GENERATE(kForward, kCopy);
  Site site(where, {"echo"});
  for (const auto bytes : telling_sizes()) {
    INFO(bytes << " bytes");
    CHECK(site.round_trip(bytes, {.type = type, .correlation = bytes}) == "the same");
  }
  CHECK(eventually([&] { return site.host().stats().is_all_free(); }));
}

TEST_CASE("session: type and correlation id travel whole with each message") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"echo"});
  for (const std::size_t bytes : {0u, 480u, 481u}) {
    for (const mews::Envelope envelope :
         {mews::Envelope{}, mews::Envelope{.type = ~0u, .correlation = ~std::uint64_t{0}},
          mews::Envelope{.type = 0x80000000, .correlation = 1},
          mews::Envelope{.type = 2, .correlation = std::uint64_t{1} << 63}}) {
      CHECK(site.round_trip(bytes, envelope) == "the same");
    }
  }
}

TEST_CASE("session: a run of slabs carries 64 MiB and one byte more, both ways") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"echo"});
  CHECK(site.round_trip(std::size_t{64} << 20) == "the same");
  CHECK(site.round_trip((std::size_t{64} << 20) + 1, {.type = kCopy, .correlation = 9}) ==
        "the same");
  CHECK(eventually([&] { return site.host().stats().is_all_free(); }));
}

TEST_CASE("session: a run of slabs carries 1 GiB to another process and back, in place") {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  if (available_mib() < 4096) SKIP("less than 4 GiB of memory are available");
  Site site(Where::two_processes, {"echo"});
  auto loan = must(site.channel().loan(kBytes, kPatience));
  mark_pages(loan.bytes());
  const auto* sent_from = loan.bytes().data();
  must(site.channel().send(std::move(loan), {.type = kForward, .correlation = 1}, kPatience));
  const auto reply = must(site.channel().receive(kPatience));
  CHECK(reply.size() == kBytes);
  CHECK(reply.bytes().data() == sent_from);
  CHECK(has_marked_pages(reply.bytes()));
}

TEST_CASE("session: a loan shrunk to what was written arrives with that size") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"echo"});
  for (const std::size_t kept : {0u, 1u, 480u, 481u, 100'000u, 20u << 20}) {
    auto loan = must(site.channel().loan(std::size_t{40} << 20));
    loan.shrink(kept);
    fill(loan.bytes(), 5);
    must(site.channel().send(std::move(loan)));
    const auto reply = must(site.channel().receive(kPatience));
    CHECK(reply.size() == kept);
    CHECK(is_filled(reply.bytes(), 5));
  }
  CHECK(eventually([&] { return site.host().stats().is_all_free(); }));
}

TEST_CASE("session: a batch arrives whole and in order, by visit and one by one") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"batch", "40"});
  must(site.channel().send(bytes_of("go"), {.type = 6, .correlation = 7}));
  std::uint64_t visited = 0;
  bool is_right = true;
  while (visited < 30) {
    must(site.channel().receive_batch(
        [&](const mews::MessageView& view) {
          is_right = is_right && view.bytes.size() == visited * 100 &&
                     is_filled(view.bytes, visited) && view.envelope.type == 6 &&
                     view.envelope.correlation == 7;
          ++visited;
        },
        30 - visited, kPatience));
  }
  CHECK(is_right);
  CHECK(visited == 30);
  for (std::uint64_t i = 30; i < 40; ++i) {
    const auto message = must(site.channel().receive(kPatience));
    CHECK(message.size() == i * 100);
    CHECK(is_filled(message.bytes(), i));
  }
  CHECK(outcome(site.channel().try_receive()) == "would_block");
  CHECK(eventually([&] { return site.host().stats().is_all_free(); }));
}

TEST_CASE("session: a batch that does not fit is sent from the front, the rest stays untouched") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("reader"));
  std::vector<mews::Loan> loans;
  for (int i = 0; i < 70; ++i) {
    loans.push_back(must(plugin.channel().loan(8)));
    fill(loans.back().bytes(), static_cast<std::uint64_t>(i));
  }
  const auto sent = must(plugin.channel().try_send_batch(loans));
  CHECK((sent > 0 && sent < 70));
  for (std::size_t i = 0; i < 70; ++i) {
    CHECK(loans[i].is_valid() == (i >= sent));
    if (i >= sent) CHECK(is_filled(loans[i].bytes(), i));
  }
  const auto rest = std::span(loans).subspan(sent);
  CHECK(outcome(plugin.channel().try_send_batch(rest)) == "would_block");
  for (std::size_t i = 0; i < sent; ++i) {
    CHECK(is_filled(must(guest.channel().try_receive()).bytes(), i));
  }
  CHECK(outcome(guest.channel().try_receive()) == "would_block");
  CHECK(must(plugin.channel().try_send_batch(rest)) == 70 - sent);
}

TEST_CASE("session: mixed messages keep order and bytes in both directions at once") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  const auto count = mews_test::scaled(100'000);
  Site site(where, {"exchange", std::to_string(count), "1000000", "2000000"});
  CHECK(exchange(site.channel(), count, 2'000'000, 1'000'000).empty());
  const auto verdict = must(site.channel().receive(kPatience));
  CHECK(verdict.text().empty());
  CHECK(verdict.type() == kDone);
  CHECK(eventually([&] { return site.host().stats().is_all_free(); }));
}
