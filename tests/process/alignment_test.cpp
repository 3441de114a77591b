// SPDX-License-Identifier: MIT
#include <cstdint>
#include <string>

#include "../support/catch.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Slabs of every kind of alignment: to their size, and to a page.
mews::CreateOptions mixed_arena() {
  auto options = small_arena();
  options.size_classes = {{128, 8}, {1024, 8}, {8192, 8}};
  options.reply_slabs = 0;
  return options;
}

std::size_t offset_of(std::span<const std::byte> bytes, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(bytes.data()) % alignment;
}

constexpr std::size_t kSizes[] = {0, 1, 64, 100, 480, 481, 1024, 1025, 8192, 8193, 20'000};

}  // namespace

TEST_CASE("alignment: a loan is aligned as asked, up to a page, and arrives so") {
  auto host = must(mews::Session::create(mixed_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    for (const auto bytes : kSizes) {
      INFO(bytes << " bytes aligned to " << alignment);
      auto loan = must(plugin.channel().loan(bytes, alignment));
      CHECK(loan.size() == bytes);
      CHECK(offset_of(loan.bytes(), alignment) == 0);
      fill(loan.bytes(), bytes);
      must(plugin.channel().send(std::move(loan)));
      const auto message = must(guest.channel().receive(kPatience));
      CHECK(message.size() == bytes);
      CHECK(offset_of(message.bytes(), alignment) == 0);
      CHECK(is_filled(message.bytes(), bytes));
    }
  }
  CHECK(host.stats().is_all_free());
}

TEST_CASE("alignment: without being asked every payload is aligned to 64 bytes at both ends") {
  auto host = must(mews::Session::create(mixed_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  for (const auto bytes : kSizes) {
    INFO(bytes << " bytes");
    auto loan = must(plugin.channel().loan(bytes));
    CHECK(offset_of(loan.bytes(), 64) == 0);
    must(plugin.channel().send(std::move(loan)));
    CHECK(offset_of(must(guest.channel().receive(kPatience)).bytes(), 64) == 0);
  }
}

TEST_CASE("alignment: a shared sender's loans, and those with a deadline, are aligned too") {
  auto host = must(mews::Session::create(mixed_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  auto sender = plugin.channel().shared();
  CHECK(offset_of(must(plugin.channel().loan(10, 4096, kPatience)).bytes(), 4096) == 0);
  CHECK(offset_of(must(plugin.channel().try_loan(10, 4096)).bytes(), 4096) == 0);
  CHECK(offset_of(must(sender.loan(10, 4096)).bytes(), 4096) == 0);
  CHECK(offset_of(must(sender.loan(10, 4096, kPatience)).bytes(), 4096) == 0);
  CHECK(offset_of(must(sender.try_loan(10, 4096)).bytes(), 4096) == 0);
}

TEST_CASE("alignment: what is no power of two, or above a page, is invalid_argument") {
  auto host = must(mews::Session::create(mixed_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  for (const std::size_t alignment : {0u, 3u, 48u, 4095u, 8192u, 1u << 31}) {
    const auto loan = plugin.channel().try_loan(100, alignment);
    REQUIRE(outcome(loan) == "invalid_argument");
    CHECK_THAT(loan.error().message(),
               ContainsSubstring("alignment is " + std::to_string(alignment)));
  }
}

TEST_CASE("alignment: one that no slab of the arena has is invalid_argument") {
  auto options = small_arena();
  options.size_classes = {{128, 8}, {1024, 8}};
  options.reply_slabs = 0;
  auto host = must(mews::Session::create(options));
  auto [plugin, guest] = must(host.connect("guest"));
  CHECK(offset_of(must(plugin.channel().try_loan(1, 1024)).bytes(), 1024) == 0);
  CHECK(offset_of(must(plugin.channel().try_loan(3000, 1024)).bytes(), 1024) == 0);
  const auto loan = plugin.channel().try_loan(3000, 2048);
  REQUIRE(outcome(loan) == "invalid_argument");
  CHECK_THAT(loan.error().message(), ContainsSubstring("largest slabs are of 1 KiB"));
}

TEST_CASE("alignment: a batch lends small payloads at 32 bytes, larger ones as they were sent") {
  auto host = must(mews::Session::create(mixed_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  for (const auto bytes : kSizes)
    must(plugin.channel().send(std::move(*plugin.channel().loan(bytes, 64))));
  std::size_t seen = 0;
  bool is_right = true;
  const auto visit = [&](const mews::MessageView& view) {
    is_right = is_right && view.bytes.size() == kSizes[seen++] &&
               offset_of(view.bytes, view.bytes.size() <= 480 ? 32 : 64) == 0;
  };
  CHECK(must(guest.channel().receive_batch(visit, std::size(kSizes), kPatience)) ==
        std::size(kSizes));
  CHECK(is_right);
}
