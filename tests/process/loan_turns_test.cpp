// SPDX-License-Identifier: MIT
#include <cstring>
#include <set>

#include "../support/catch.hpp"
#include "ends.hpp"

namespace {

using namespace process_test;

}  // namespace

TEST_CASE("loan: an exchange of small messages keeps to a slab, bulk turns through its chunk") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, session] = must(host.connect("partner"));
  std::set<const std::byte*> small;
  for (int i = 0; i < 10'000; ++i)
    small.insert(must(plugin.channel().loan(1000)).bytes().data());
  CHECK(small.size() == 1);

  std::set<const std::byte*> bulk;
  for (int i = 0; i < 100'000 && bulk.size() < 8; ++i) {
    auto loan = must(plugin.channel().loan(65536));
    std::memset(loan.bytes().data(), i, 65536);
    bulk.insert(loan.bytes().data());
  }
  CHECK(bulk.size() == 8);
}
