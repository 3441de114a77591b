// SPDX-License-Identifier: MIT
#include "mews/ring/slab_window.hpp"

#include "../support/catch.hpp"

namespace {

using mews::ring::SlabWindow;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// Sends as many as the window lets through, one cell each, up to `most`; returns how many.
std::uint64_t send_all(SlabWindow& window, std::uint64_t bytes, std::uint64_t& position,
                       std::uint64_t most = 10'000) {
  std::uint64_t sent = 0;
  while (sent < most && window.is_open(bytes)) {
    window.charge(bytes, ++position);
    ++sent;
  }
  return sent;
}

}  // namespace

TEST_CASE("slab window: it lets its bytes through, and at least so many slabs") {
  for (const auto& [bytes, count] : {std::pair{16 * kMiB, 2u},
                                     {10 * kMiB, 2u},
                                     {4 * kMiB, 2u},
                                     {3 * kMiB, 3u},
                                     {2 * kMiB, 4u},
                                     {kMiB, 8u},
                                     {kMiB / 4, 32u},
                                     {kMiB / 64, 512u},
                                     {std::uint64_t{1} << 32, 2u}}) {
    SlabWindow window({});
    std::uint64_t position = 0;
    CHECK(send_all(window, bytes, position) == count);
    CHECK(window.used() == window.limit());
  }
}

TEST_CASE("slab window: small payloads pass, open or not, and are not counted") {
  SlabWindow window({});
  std::uint64_t position = 0;
  CHECK(send_all(window, SlabWindow::kSmallBytes - 1, position) == 10'000);
  CHECK(window.used() == 0);
  static_cast<void>(send_all(window, 4 * kMiB, position));
  CHECK(window.is_open(SlabWindow::kSmallBytes - 1));
  CHECK_FALSE(window.is_open(SlabWindow::kSmallBytes));
}

TEST_CASE("slab window: what the reader has taken is credit again, an eighth at the latest") {
  for (const auto bytes : {16 * kMiB, 3 * kMiB, kMiB, kMiB / 4, kMiB / 64, 17 * kMiB / 1024}) {
    SlabWindow window({});
    std::uint64_t position = 0;
    const auto all = send_all(window, bytes, position);
    const auto eighth = std::max<std::uint64_t>(1, (all + 7) / 8 + 1);
    for (int round = 0; round < 1000; ++round) {
      window.credit(position - all);
      REQUIRE_FALSE(window.is_open(bytes));
      window.credit(position - all + eighth);
      const auto again = send_all(window, bytes, position);
      REQUIRE(again >= 1);
      REQUIRE(again <= eighth);
      // What is left of the parts that were begun is on its way still.
      window.credit(position);
      REQUIRE(window.used() == 0);
      REQUIRE(send_all(window, bytes, position) == all);
    }
  }
}

TEST_CASE("slab window: one that sends and reads in turn is never kept waiting") {
  SlabWindow window({});
  std::uint64_t position = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (!window.is_open(kMiB / 2)) window.credit(position);
    REQUIRE(window.is_open(kMiB / 2));
    window.charge(kMiB / 2, ++position);
  }
}

TEST_CASE("slab window: limits are obeyed, down to one slab, up to none at all") {
  std::uint64_t position = 0;
  SlabWindow one({.bytes = 0, .slabs = 0});
  CHECK(send_all(one, 16 * kMiB, position) == 1);
  one.credit(position);
  CHECK(send_all(one, SlabWindow::kSmallBytes, position) == 1);
  SlabWindow two({.bytes = kMiB, .slabs = 2});
  CHECK(send_all(two, 16 * kMiB, position) == 2);
  SlabWindow endless({.bytes = ~std::uint64_t{0}, .slabs = 1});
  CHECK(send_all(endless, 16 * kMiB, position) == 10'000);
  SlabWindow tiny({.bytes = 3, .slabs = 100});
  for (int i = 0; i < 100; ++i) {
    REQUIRE(send_all(tiny, kMiB, position) == 3);
    tiny.credit(position);
  }
}
