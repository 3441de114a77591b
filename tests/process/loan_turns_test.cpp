// SPDX-License-Identifier: MIT
#include <set>

#include "../support/catch.hpp"
#include "ends.hpp"

namespace {

using namespace process_test;

}  // namespace

TEST_CASE("loan: a busy flow turns through more and more slabs, a quiet one keeps to a few") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, session] = must(host.connect("partner"));
  std::set<const std::byte*> quiet;
  std::set<const std::byte*> busy;
  for (int i = 0; i < 400; ++i) {
    const auto loan = must(plugin.channel().loan(1000));
    (i < 16 ? quiet : busy).insert(loan.bytes().data());
  }
  CHECK(quiet.size() <= 2);
  CHECK(busy.size() >= 6);
}
